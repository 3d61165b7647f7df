import { MemoryStore } from '../../src/stores/memory.ts'
import { testStore } from './contract.ts'

testStore('memory', () => {
  let store: MemoryStore | undefined
  return Promise.resolve({ open: (clock) => Promise.resolve((store ??= new MemoryStore(clock))), lease: 300 })
})
