import { setFlagsFromString } from 'node:v8'

/**
 * How V8 lets the young generation grow when it fills. While the program is loaded it must not (factor 1): the garbage of loading would make it grow for
 * good, 10 MB of idle memory. Under load it may (factor 2, V8's own): without room, collecting costs a tenth of the CPU time.
 */
export function growYoungGeneration(factor: 1 | 2): void {
  setFlagsFromString(`--semi-space-growth-factor=${factor}`)
}
