/**
 * The API and the token endpoint of the benchmark, in a process of its own. Small answers come from nginx where there is one (it is far from
 * its limit when every proxy is at theirs); this server gives them otherwise, and the large bodies always.
 *
 *   node bench/origin.ts PORT TOKEN_PORT CERT KEY TOKEN_LIFE_SECONDS TOKEN_DELAY_MS
 */
import { readFileSync } from 'node:fs'
import { createServer } from 'node:http'
import { createServer as createTlsServer } from 'node:https'
import { largeBody, smallBody } from './bodies.ts'

const [port, tokenPort, cert = '', key = '', life, delay] = process.argv.slice(2)

const large = Buffer.alloc(largeBody, 'x')
createTlsServer({ cert: readFileSync(cert), key: readFileSync(key), keepAliveTimeout: 60_000 }, (request, response) => {
  if (request.method === 'POST') {
    let bytes = 0
    request.on('data', (chunk: Buffer) => (bytes += chunk.length))
    request.on('end', () => response.end(String(bytes)))
  } else if (request.url === '/large') {
    response.writeHead(200, { 'content-type': 'application/octet-stream', 'content-length': large.length }).end(large)
  } else {
    const { authorization } = request.headers
    if (authorization?.startsWith('Bearer ')) {
      response.writeHead(200, { 'content-type': 'application/json', 'content-length': smallBody.length }).end(smallBody)
    } else response.writeHead(401).end()
  }
}).listen(Number(port), '127.0.0.1')

let issued = 0
createServer((request, response) => {
  request.resume()
  request.on('end', () => {
    const token = {
      access_token: `token-${++issued}`,
      token_type: 'bearer',
      expires_in: Number(life),
      refresh_token: `refresh-${issued}`,
    }
    setTimeout(() => {
      response.setHeader('content-type', 'application/json')
      response.end(JSON.stringify(token))
    }, Number(delay))
  })
}).listen(Number(tokenPort), '127.0.0.1')
