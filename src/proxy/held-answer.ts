import type { Transform } from 'node:stream'
import zlib from 'node:zlib'
import { judgedBytes } from '../tokens/rejection.ts'
import type { UpstreamError, UpstreamHead } from '../upstream/upstream.ts'
import { Pieces } from './pieces.ts'

/** An answer that may mean "this token is no good": kept back until that is decided, so that it can still pass as it came. */
export class HeldAnswer {
  readonly head: UpstreamHead
  /** The last byte is here. */
  ended = false
  /** The connection broke in the middle of the body. */
  broken: UpstreamError | undefined = undefined
  readonly #pieces = new Pieces()

  constructor(head: UpstreamHead) {
    this.head = head
  }

  /** False when no more should be read for now. */
  add(chunk: Buffer): boolean {
    this.#pieces.add(chunk)
    return !this.full
  }

  get full(): boolean {
    return this.#pieces.size >= judgedBytes
  }

  get chunks(): readonly Buffer[] {
    return this.#pieces.blocks()
  }

  /** The first 64 KiB of the body as the upstream's program wrote it, with a single content coding taken off. */
  decodedPrefix(): Buffer | Promise<Buffer> {
    const raw = Buffer.concat(this.chunks).subarray(0, judgedBytes)
    const decoder = decoderFor(contentCoding(this.head.headers), raw)
    return decoder === undefined ? raw : decodePrefix(raw, decoder)
  }
}

/** The value of Content-Encoding in lower case; '' when there is none. */
export function contentCoding(headers: readonly string[]): string {
  let coding = ''
  for (let index = 0; index < headers.length; index += 2) {
    if (headers[index]?.toLowerCase() === 'content-encoding') {
      coding += `${coding === '' ? '' : ','}${headers[index + 1]?.trim().toLowerCase()}`
    }
  }
  return coding
}

/**
 * A stream that takes one content coding off; undefined for none and for those we do not know, stacked ones among them. `start`: the first
 * bytes, where they are here already.
 */
export function decoderFor(coding: string, start?: Buffer): Transform | undefined {
  switch (coding) {
    case 'gzip':
    case 'x-gzip':
      return zlib.createGunzip()
    case 'deflate':
      // RFC 9110 section 8.4.1.2 means the zlib format and notes that some servers send the bare stream. RFC 1950 section 2.2: its first byte tells.
      return start?.[0] === undefined || (start[0] & 0x0f) === 8 ? zlib.createInflate() : zlib.createInflateRaw()
    case 'br':
      return zlib.createBrotliDecompress()
    case 'zstd':
      // Node 22.15 and later.
      return zlib.createZstdDecompress()
    default:
      return undefined
  }
}

/** Decodes as far as the bytes go, never to more than 64 KiB, whatever they would unfold to. */
function decodePrefix(raw: Buffer, decoder: Transform): Promise<Buffer> {
  return new Promise((resolve) => {
    const pieces: Buffer[] = []
    let size = 0
    const finish = () => {
      decoder.destroy()
      resolve(Buffer.concat(pieces).subarray(0, judgedBytes))
    }
    decoder.on('data', (piece: Buffer) => {
      pieces.push(piece)
      size += piece.length
      if (size >= judgedBytes) finish()
    })
    // A prefix ends in the middle of the coding, which decoders report as an error: what came out until then is what there is to judge.
    decoder.on('error', finish)
    decoder.on('end', finish)
    decoder.end(raw)
  })
}
