import { faultNames, faultTable } from '../../src/simulator/faults.ts'
import type { Simulator } from '../../src/simulator/simulator.ts'
import type { Random } from './random.ts'

/** With small values, so that a soak has many faults and not few long ones. */
const values: Readonly<Record<string, string>> = {
  'token-429': '1',
  'token-503': '1',
  'token-slow': '600ms',
  'token-huge': '2',
  'token-expires-in': '1',
  'api-slow': '400ms',
  'api-429': '1',
}

/** A login is a matter of people. */
const names = faultNames.filter((name) => faultTable[name].target !== 'authorization')

/** Orders one fault of any kind for a few calls. Returns its name. */
export function injectFault(simulator: Simulator, random: Random): string {
  const name = random.pick(names)
  const value = values[name]
  const count = 1 + Math.floor(random.next() * (faultTable[name].target === 'token' ? 2 : 20))
  simulator.inject({ name, count, ...(value !== undefined && { value }) })
  return name
}
