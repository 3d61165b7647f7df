import type { Answer } from './http.ts'
import { escapeHtml } from './http.ts'

/** A plain page; `body` is HTML and must hold nothing unescaped. */
export function page(status: number, title: string, body: string): Answer {
  return {
    status,
    headers: {
      'content-type': 'text/html; charset=utf-8',
      'cache-control': 'no-store',
      'content-security-policy': "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'",
    },
    body: `<!doctype html><html lang="en"><meta charset="utf-8"><title>${escapeHtml(title)}</title>
<style>body{font:16px/1.5 system-ui;max-width:32rem;margin:4rem auto;padding:0 1rem}button{font:inherit;padding:.4rem 1.2rem}</style>
<h1>${escapeHtml(title)}</h1>${body}</html>`,
  }
}

/** The question a person answers: Allow or Deny, posted back to the same address. */
export function consentPage(provider: string, question: string, fields = ''): Answer {
  const form = `<form method="post">${fields}
<button name="decision" value="allow">Allow</button> <button name="decision" value="deny">Deny</button></form>`
  return page(200, `${provider} (simulated)`, `<p>${escapeHtml(question)}</p>${form}`)
}
