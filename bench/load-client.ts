/**
 * Load without wrk: one request at a time on each of some keep-alive connections, answers framed by Content-Length or chunked.
 *
 *   node bench/load-client.ts URL SECONDS CONNECTIONS SUBJECTS HEADERS
 */
import { connect, type Socket } from 'node:net'
import { readFileSync } from 'node:fs'
import { connect as connectTls } from 'node:tls'
import { ca } from './certificates.ts'

const [address = '', duration, connections, subjects, headers = '{}'] = process.argv.slice(2)
const url = new URL(address)
const fields = Object.entries(JSON.parse(headers) as Record<string, string>).map(
  ([name, value]) => `${name}: ${value}\r\n`,
)
const prefix = `GET ${url.pathname} HTTP/1.1\r\nHost: ${url.host}\r\n${fields.join('')}`
const latencies: number[] = []
const sockets: Socket[] = []
let [errors, sent] = [0, 0]
const began = performance.now()
const end = began + Number(duration) * 1000

for (let index = 0; index < Number(connections); index++) open()

function open(): void {
  const target = { host: url.hostname, port: Number(url.port) }
  const socket =
    url.protocol === 'https:' ? connectTls({ ...target, ca: readFileSync(ca) }) : connect({ ...target, noDelay: true })
  sockets.push(socket)
  let [answer, at] = ['', 0]
  const send = () => {
    if (performance.now() >= end) return void socket.end()
    const subject = Number(subjects) > 0 ? `X-Subject: s${(sent++ % Number(subjects)) + 1}\r\n` : ''
    at = performance.now()
    socket.write(`${prefix}${subject}\r\n`)
  }
  socket.setEncoding('latin1')
  socket.once(url.protocol === 'https:' ? 'secureConnect' : 'connect', send)
  socket.on('data', (chunk) => {
    answer += String(chunk)
    if (!complete(answer)) return
    latencies.push((performance.now() - at) * 1000)
    if (!answer.startsWith('HTTP/1.1 2')) errors++
    answer = ''
    send()
  })
  socket.on('error', () => errors++)
}

function complete(answer: string): boolean {
  const head = answer.indexOf('\r\n\r\n')
  if (head < 0) return false
  const length = /\r\ncontent-length: *(\d+)/i.exec(answer.slice(0, head))?.[1]
  return length === undefined ? answer.endsWith('\r\n0\r\n\r\n') : answer.length >= head + 4 + Number(length)
}

setTimeout(
  () => {
    for (const socket of sockets) socket.destroy()
    latencies.sort((a, b) => a - b)
    const at = (share: number) =>
      Math.round(latencies[Math.min(latencies.length - 1, Math.floor(latencies.length * share))] ?? 0)
    const seconds = (performance.now() - began) / 1000
    console.log(
      JSON.stringify({ requests: latencies.length, seconds, p50: at(0.5), p99: at(0.99), max: at(1), errors }),
    )
  },
  Number(duration) * 1000,
)
