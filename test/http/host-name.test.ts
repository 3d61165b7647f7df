import assert from 'node:assert/strict'
import test from 'node:test'
import { allowedHostNames, hostName } from '../../src/http/host-name.ts'

test('the name of a Host value is compared without port and case', () => {
  assert.equal(hostName('LocalHost:9090'), 'localhost')
  assert.equal(hostName('127.0.0.1'), '127.0.0.1')
  assert.equal(hostName('[0:0:0:0:0:0:0:1]:80'), '[::1]')
})

for (const value of [
  undefined,
  '',
  'a b',
  'user@localhost',
  'localhost/x',
  'localhost:80:80',
  'localhost:x',
  '[::1',
  '::1',
  'localhost#',
  '[zz]',
]) {
  test(`${JSON.stringify(value)} is no Host value`, () => assert.equal(hostName(value), undefined))
}

test('loopback names, bound addresses and configured names are allowed, nothing else', () => {
  const names = allowedHostNames(['10.1.2.3', 'fd00::1'], ['Sidecar.Example:8443'])
  assert.deepEqual([...names], ['localhost', '127.0.0.1', '[::1]', '10.1.2.3', '[fd00::1]', 'sidecar.example'])
})
