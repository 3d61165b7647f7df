import type { ServerResponse } from 'node:http'
import type { Transform } from 'node:stream'
import type { UpstreamHead } from '../upstream/upstream.ts'
import { contentCoding, decoderFor } from './held-answer.ts'
import type { Links } from './links.ts'
import { LinkRewriter } from './rewrite-links.ts'

export interface BodyRewriterOwner {
  /** Rewritten bytes; false when the caller takes no more for now. */
  write(bytes: Buffer): boolean
  finish(last: Buffer): void
  /** The caller takes no more for now. */
  onBlocked(): void
  onUnblocked(): void
  /** The body is not of the content coding that its head names. */
  onUndecodable(cause: Error): void
}

/** What a JSON body goes through on its way to the caller when its links are rewritten: its content coding comes off, links are translated. */
export class BodyRewriter {
  readonly #rewriter: LinkRewriter
  readonly #coding: string
  readonly #owner: BodyRewriterOwner
  #decoder: Transform | undefined
  #started = false
  readonly #response: ServerResponse

  constructor(
    head: UpstreamHead,
    links: Links,
    proxyOrigin: string,
    response: ServerResponse,
    owner: BodyRewriterOwner,
  ) {
    this.#rewriter = new LinkRewriter(links, proxyOrigin)
    this.#response = response
    this.#coding = contentCoding(head.headers)
    this.#owner = owner
  }

  /** Nobody knows yet whether the body can be read at all. */
  get decodes(): boolean {
    return this.#coding !== '' && this.#coding !== 'identity'
  }

  /** With the first bytes of the body, which tell the two formats apart that are called deflate. */
  #start(first: Buffer): void {
    this.#started = true
    const decoder = isPlain(this.#coding, first) ? undefined : decoderFor(this.#coding, first)
    this.#decoder = decoder
    decoder?.on('data', (piece: Buffer) => {
      if (this.#write(piece)) return
      decoder.pause()
      this.#owner.onBlocked()
      this.#response.once('drain', () => {
        this.#owner.onUnblocked()
        decoder.resume()
      })
    })
    decoder?.on('end', () => this.#finish())
    decoder?.on('error', (cause) =>
      this.#owner.onUndecodable(new Error(`the body is not whole ${this.#coding}`, { cause })),
    )
  }

  /** Returns false when no more should come until onceReady() calls back. */
  write(chunk: Buffer): boolean {
    if (!this.#started) this.#start(chunk)
    return this.#decoder === undefined ? this.#write(chunk) : this.#decoder.write(chunk)
  }

  onceReady(callback: () => void): void {
    ;(this.#decoder ?? this.#response).once('drain', callback)
  }

  end(): void {
    if (this.#decoder === undefined) this.#finish()
    else this.#decoder.end()
  }

  destroy(): void {
    this.#decoder?.destroy()
  }

  #write(piece: Buffer): boolean {
    const out = this.#rewriter.push(piece)
    return out.length === 0 || this.#owner.write(out)
  }

  #finish(): void {
    this.#owner.finish(this.#rewriter.end())
  }
}

/** Whether the links of this body can be rewritten: JSON, whole (a 206 is a range of the upstream's bytes), at most one known content coding. */
export function canRewrite(head: UpstreamHead): boolean {
  if (!head.hasBody || head.status === 206) return false
  let json = false
  for (let index = 0; index < head.headers.length; index += 2) {
    if (head.headers[index]?.toLowerCase() !== 'content-type') continue
    json = /^(?:application|text)\/(?:json|[^;\s]+\+json)\s*(?:;|$)/i.test(head.headers[index + 1] ?? '')
  }
  return json && /^(?:|identity|x-gzip|gzip|deflate|br|zstd)$/.test(contentCoding(head.headers))
}

/** Some servers name a coding that they did not apply. No gzip or zstd begins as a JSON text does. */
function isPlain(coding: string, start: Buffer): boolean {
  return /gzip|zstd/.test(coding) && /^[\s{["\d-]/.test(start.toString('latin1', 0, 1))
}
