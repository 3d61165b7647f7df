import type { Answer } from './http.ts'
import { json } from './http.ts'
import type { ApiCall } from './provider.ts'

/** Tells what arrived: the endpoint that shows what a proxy changed on the way. */
export function echo({ exchange, body }: ApiCall): Answer {
  const { rawHeaders } = exchange.request
  const headers: [string, string][] = []
  for (let index = 0; index < rawHeaders.length; index += 2) {
    headers.push([rawHeaders[index] ?? '', rawHeaders[index + 1] ?? ''])
  }
  return json(200, {
    method: exchange.method,
    target: exchange.target,
    headers,
    body: { bytes: body.bytes, sha256: body.sha256 },
  })
}
