import { once } from 'node:events'
import { connect, createServer, type AddressInfo, type Socket } from 'node:net'
import type { TestContext } from 'node:test'

/** A relay in front of a plain-text server that remembers every byte, both ways, and passes resets on. */
export class Wiretap {
  readonly url: string
  readonly #chunks: Buffer[]

  private constructor(port: number, chunks: Buffer[]) {
    this.url = `http://127.0.0.1:${port}`
    this.#chunks = chunks
  }

  static async start(t: Pick<TestContext, 'after'>, target: string): Promise<Wiretap> {
    const chunks: Buffer[] = []
    const sockets = new Set<Socket>()
    const server = createServer((near) => {
      const far = connect(Number(new URL(target).port), '127.0.0.1')
      for (const [from, to] of [
        [near, far],
        [far, near],
      ] as const) {
        sockets.add(from)
        from.on('data', (chunk: Buffer) => chunks.push(chunk))
        from.on('error', () => undefined).once('close', () => to.destroy())
        from.pipe(to)
      }
    }).listen(0, '127.0.0.1')
    await once(server, 'listening')
    t.after(() => {
      server.close()
      for (const socket of sockets) socket.destroy()
    })
    return new Wiretap((server.address() as AddressInfo).port, chunks)
  }

  get text(): string {
    return Buffer.concat(this.#chunks).toString('latin1')
  }

  /** Tokens, codes and verifiers that went by: bearers, JSON fields and form parameters. */
  secrets(): Set<string> {
    const found = new Set<string>()
    for (const pattern of [
      /"(?:access_token|refresh_token)":\s*"([^"]+)"/g,
      /[?&\n](?:refresh_token|code|code_verifier)=([^&\s]+)/g,
      /\bBearer ([^\s"]+)/g,
      /\bBasic ([^\s"]+)/g,
    ]) {
      for (const [, value = ''] of this.text.matchAll(pattern)) found.add(decodeURIComponent(value))
    }
    return found
  }
}
