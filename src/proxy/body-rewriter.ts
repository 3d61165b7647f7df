import type { ServerResponse } from 'node:http'
import type { Transform } from 'node:stream'
import type { UpstreamHead } from '../upstream/upstream.ts'
import { contentCoding, decoderFor } from './held-answer.ts'
import type { Links } from './links.ts'
import { LinkRewriter } from './rewrite-links.ts'

export interface BodyRewriterOwner {
  /** The caller takes no more for now. */
  onBlocked(): void
  onUnblocked(): void
  /** The content coding turned out damaged in the middle of the answer. */
  breakOff(): void
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

  /** With the first bytes of the body, which tell the two formats apart that are called deflate. */
  #start(first: Buffer): void {
    this.#started = true
    const decoder = decoderFor(this.#coding, first)
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
    decoder?.on('error', () => this.#owner.breakOff())
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
    return out.length === 0 || this.#response.write(out)
  }

  #finish(): void {
    this.#response.end(this.#rewriter.end())
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
