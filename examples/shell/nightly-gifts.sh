#!/bin/sh
# Posts the gifts of a CSV file (constituent id, date, amount; no header), one request each. For cron:
#
#   15 2 * * *  SKY_URL=http://localhost:8080 /opt/jobs/nightly-gifts.sh /var/spool/gifts.csv
#
# Ends with 0 when all were taken, 1 when the API refused some, 75 (EX_TEMPFAIL) when it could not be asked and the job should run again:
# then the sidecar's detail, such as "Run: bearer-sidecar login sky", is the last line.
set -eu

base=${SKY_URL:-http://localhost:8080}
file=${1:?usage: nightly-gifts.sh FILE}
answer=$(mktemp)
trap 'rm -f "$answer" "$answer.head"' EXIT
refused=0

while IFS=, read -r constituent date amount; do
  [ -n "$constituent" ] || continue
  body=$(printf '{"constituent_id":"%s","date":"%s","amount":{"value":%s}}' "$constituent" "$date" "$amount")
  # No --retry: a gift must not be posted twice. The sidecar sends a request again only when the API rejected its token.
  status=$(curl --silent --show-error --max-time 60 --output "$answer" --dump-header "$answer.head" --write-out '%{http_code}' \
    --header 'Content-Type: application/json' --data "$body" "$base/gift/v1/gifts") || exit 75
  if grep -qi '^bearer-sidecar-error:' "$answer.head"; then
    echo "stopped at the gift of constituent $constituent, which was not posted:" >&2
    sed 's/.*"detail":"\([^"]*\)".*/\1/' "$answer" >&2
    exit 75
  fi
  case $status in
    2??) echo "$constituent: $(cat "$answer")" ;;
    *) echo "$constituent: refused with $status" >&2; refused=1 ;;
  esac
done <"$file"

exit "$refused"
