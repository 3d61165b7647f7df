import { createHash } from 'node:crypto'
import type { FastifyReply } from 'fastify'
import { html, Html } from './html.ts'
import { script } from './script.ts'
import { style } from './style.ts'

/**
 * Nothing loads from anywhere, no inline text runs but the two that are hashed here, no other page may frame us, and no form of
 * ours can be pointed elsewhere. Connect is a link, because form-action would also stop the redirect to the provider.
 */
const contentSecurityPolicy = [
  "default-src 'none'",
  `style-src '${hashSource(style)}'`,
  `script-src '${hashSource(script)}'`,
  "img-src 'self'",
  "connect-src 'self'",
  "base-uri 'none'",
  "form-action 'self'",
  "frame-ancestors 'none'",
].join('; ')

/** Not written in a template below: a formatter's white space would change what was hashed. */
const styleElement = new Html(`<style>${style}</style>`)
const scriptElement = new Html(`<script>${script}</script>`)

/** Changes with every change of the page's own code, so that a page left open over an upgrade loads itself anew. */
const build = hashSource(style + script).slice(7, 19)

export interface Page {
  readonly title: string
  readonly body: Html
  /** True for the status page: it updates itself, by script or (without one) by reloading. */
  readonly live: boolean
}

export function sendPage(reply: FastifyReply, { title, body, live }: Page): FastifyReply {
  const document = html`<!doctype html>
    <html lang="en">
      <head>
        <meta charset="utf-8" />
        <meta name="viewport" content="width=device-width, initial-scale=1" />
        <meta name="color-scheme" content="light dark" />
        <meta name="build" content="${build}" />
        <title>${title}</title>
        <link rel="icon" href="/favicon.svg" type="image/svg+xml" />
        ${styleElement} ${live && html`<noscript><meta http-equiv="refresh" content="30" /></noscript>`}
      </head>
      <body>
        ${body} ${live && scriptElement}
      </body>
    </html> `
  return (
    reply
      .type('text/html; charset=utf-8')
      .header('content-security-policy', contentSecurityPolicy)
      // A form posts "Origin: null" under no-referrer, which the guard would refuse; the fixed pages have no form.
      .header('referrer-policy', live ? 'same-origin' : 'no-referrer')
      .send(document.text)
  )
}

/** A fixed page with one message and the way back. `text` never holds anything from the request's query. */
export function messagePage(title: string, text: Html, back = '/'): Page {
  const body = html`<main class="message">
    <h1>${title}</h1>
    ${text}
    <p><a class="button primary" href="${back}">Open the status page</a></p>
  </main>`
  return { title: `${title} - bearer-sidecar`, body, live: false }
}

function hashSource(text: string): string {
  return `sha256-${createHash('sha256').update(text).digest('base64')}`
}
