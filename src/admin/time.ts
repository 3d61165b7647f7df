/** A point in time for people: "2026-01-01 12:00 UTC". UTC, as everywhere in logs and metrics. */
export function timeText(at: number): string {
  return `${new Date(at).toISOString().slice(0, 16).replace('T', ' ')} UTC`
}
