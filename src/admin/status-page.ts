import type { CredentialStatus } from '../tokens/credentials.ts'
import { html } from './html.ts'
import type { RouteCounts } from './metrics.ts'
import type { Page } from './page.ts'
import type { AdminInfo } from './status-document.ts'

/** All that the page shows; a pure function of it. */
export interface StatusView {
  readonly info: AdminInfo
  readonly credentials: readonly CredentialStatus[]
  readonly counts: (route: string) => RouteCounts
  /** Milliseconds since the epoch. */
  readonly now: number
}

export function statusPage(view: StatusView): Page {
  return { title: 'bearer-sidecar', body: html`<main>${view.now}</main>`, live: true }
}
