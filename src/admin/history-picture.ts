import type { RefreshOutcome, RefreshReason, RefreshRecord } from '../tokens/grant.ts'
import { html, type Html } from './html.ts'
import { timeText } from './time.ts'

/** How many refreshes the picture has room for, and how many the list beneath it shows. */
const shown = 40
const listed = 10

/** The outcome is told by height and filling as well as by colour. */
const shapes: Readonly<Record<RefreshOutcome, { y: number; height: number; inset: number }>> = {
  success: { y: 2, height: 26, inset: 0 },
  transient: { y: 18, height: 10, inset: 0 },
  fatal: { y: 3, height: 24, inset: 1 },
}

export const outcomeWords: Readonly<Record<RefreshOutcome, string>> = {
  success: 'new token',
  transient: 'failed, tried again',
  fatal: 'refused',
}

/** Why a refresh was made, as the end of "Last refresh: 8 minutes ago, ...". */
export const reasonWords: Readonly<Record<RefreshReason, string>> = {
  startup: 'at start-up',
  expiry: 'before expiry',
  rejected: 'after the upstream rejected the token',
  keep_alive: 'to keep the grant alive',
  renewal: 'to renew the refresh token',
  manual: 'by hand',
}

/** The refreshes as a row of bars, newest on the right; the caption says the same in words. `id` must be unique in the page. */
export function historyPicture(history: readonly RefreshRecord[], id: string): Html {
  const records = history.slice(-shown)
  const bars = records.map((record, index) => {
    const { y, height, inset } = shapes[record.outcome]
    const x = (shown - records.length + index) * 10 + inset
    return html`<rect class="${record.outcome}" x="${x}" y="${y}" width="${7 - 2 * inset}" height="${height}" rx="1"
      ><title>${describe(record)}</title></rect
    >`
  })
  const latest = history.slice(-listed).toReversed()
  return html`<figure class="history">
    <p class="pair"><span>Refreshes</span></p>
    <svg viewBox="0 0 400 32" role="img" aria-labelledby="${id}-caption">
      <rect class="base" x="0" y="30" width="400" height="1" />
      ${bars}
    </svg>
    <figcaption id="${id}-caption">${caption(records)}</figcaption>
    ${
      latest.length > 0 &&
      html`<details id="${id}-details">
        <summary id="${id}-summary">Latest refreshes</summary>
        <ol>
          ${latest.map((record) => html`<li><span>${timeText(record.at)}</span><span>${reasonWords[record.reason]}: ${outcomeWords[record.outcome]}</span></li>`)}
        </ol>
      </details>`
    }
  </figure>`
}

/** "12 refreshes: 10 brought a new token, 2 failed and were tried again." */
function caption(records: readonly RefreshRecord[]): string {
  const count = (outcome: RefreshOutcome) => records.filter((record) => record.outcome === outcome).length
  const [good, passing, fatal] = [count('success'), count('transient'), count('fatal')]
  if (records.length === 0) return 'No refresh yet.'
  const total =
    records.length === 1
      ? 'One refresh'
      : records.length < shown
        ? `${records.length} refreshes`
        : `The latest ${shown} refreshes`
  if (good === records.length) return `${total}, ${records.length === 1 ? 'successful' : 'all successful'}.`
  const parts = [
    good > 0 && `${good} successful`,
    passing > 0 && `${passing} failed and tried again (short)`,
    fatal > 0 && `${fatal} refused (hollow)`,
  ]
  return `${total}: ${parts.filter((part) => part !== false).join(', ')}.`
}

function describe({ at, reason, outcome }: RefreshRecord): string {
  return `${timeText(at)}, ${reasonWords[reason]}: ${outcomeWords[outcome]}`
}
