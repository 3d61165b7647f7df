import { setFlagsFromString } from 'node:v8'

/**
 * Sets V8's garbage collector up for a process that loads a program of a few megabytes and then has a fraction of a core for small requests.
 *
 * - No helpers: a collection of the young generation takes a quarter of a millisecond here, and waking four threads for it costs as much again.
 * - While the program is loaded the young generation keeps its size (factor 1), because the garbage of loading would make it grow for good: 5 MB of
 *   idle memory. growYoungGeneration() ends that.
 */
export function collectFrugally(): void {
  setFlagsFromString('--no-parallel-scavenge')
  setFlagsFromString('--no-concurrent-array-buffer-sweeping')
  setFlagsFromString('--semi-space-growth-factor=1')
}

/** Under load the young generation may grow as V8 has it (factor 2): without room, collecting costs a tenth of the CPU time. */
export function growYoungGeneration(): void {
  setFlagsFromString('--semi-space-growth-factor=2')
}
