import { MemoryStore } from '../../src/stores/memory.ts'
import { testStore } from './contract.ts'
import type { Backend } from './store-assertions.ts'

const prepare = () => {
  let store: MemoryStore | undefined
  return Promise.resolve<Backend>({ open: (clock) => Promise.resolve((store ??= new MemoryStore(clock))), lease: 300 })
}

testStore('memory', prepare, { shared: false })
