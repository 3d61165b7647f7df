// Lists all constituents. No token, no key, no refresh: that is the sidecar's work.
//
//   SKY_URL=http://localhost:8080 node constituents.js
import process from 'node:process'

const base = process.env.SKY_URL ?? 'http://localhost:8080'

/** All records of a list, page by page. `next_link` leads back to the sidecar, because it rewrites the API's own address in answers. */
async function* all(path) {
  for (let url = new URL(path, base).href; url !== undefined;) {
    const response = await fetch(url)
    if (!response.ok) throw new Error(await explain(response))
    const page = await response.json()
    yield* page.value
    url = page.next_link
  }
}

/** An answer with Bearer-Sidecar-Error is the sidecar's, and its detail says what to do. Anything else came from the API. */
async function explain(response) {
  if (!response.headers.has('bearer-sidecar-error')) return `the API answered ${response.status}`
  const { detail } = await response.json()
  return detail
}

try {
  for await (const { id, first, last } of all('/constituent/v1/constituents?limit=10')) {
    process.stdout.write(`${id}\t${first} ${last}\n`)
  }
} catch (error) {
  process.stderr.write(`${error.message}\n`)
  process.exitCode = 1
}
