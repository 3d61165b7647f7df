-- Script for wrk: rotates X-Subject when asked to, and prints the figures as one line of JSON.
local subjects, current = 0, 0

function init(args)
  subjects = tonumber(args[1] or "0")
  if subjects > 0 then
    local plain = {}
    for name, value in pairs(wrk.headers) do plain[name] = value end
    request = function()
      current = current % subjects + 1
      plain["X-Subject"] = "s" .. current
      return wrk.format("GET", wrk.path, plain)
    end
  end
end

function done(summary, latency)
  local errors = summary.errors
  io.write(string.format(
    '{"requests":%d,"seconds":%.3f,"p50":%d,"p99":%d,"max":%d,"errors":%d}\n',
    summary.requests, summary.duration / 1e6, latency:percentile(50), latency:percentile(99), latency.max,
    errors.connect + errors.read + errors.write + errors.status + errors.timeout))
end
