/**
 * What a developer would write from the README of @fastify/http-proxy, with two headers set and the upstream's certificate verified
 * (which is off by default there). No refresh, no guard, no replay.
 */
import proxy from '@fastify/http-proxy'
import fastify from 'fastify'
import { readFileSync } from 'node:fs'
import { Agent } from 'undici'

const [port = '0', upstream = '', ca = ''] = process.argv.slice(2)

const server = fastify()
await server.register(proxy, {
  upstream,
  undici: new Agent({ connect: { ca: readFileSync(ca, 'utf8') }, connections: 128 }),
  replyOptions: {
    rewriteRequestHeaders: (_request, headers) => ({
      ...headers,
      authorization: 'Bearer fresh',
      'bb-api-subscription-key': 'key',
    }),
  },
})
await server.listen({ host: '127.0.0.1', port: Number(port) })
