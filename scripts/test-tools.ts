/**
 * Runs before `npm test`: the suites for Redis and for the status page need a real Redis and a real Chromium.
 * Installs them where that is allowed, else says which suite is left out and how to get it. Never fails the tests.
 */
import { installMissing, installObstacle, type Tool } from './debian-packages.ts'

const suites: readonly (Tool & { readonly suite: string })[] = [
  { command: 'redis-server', package: 'redis-server', suite: 'the Redis store' },
  { command: 'chromium', package: 'chromium', suite: 'the status page in a browser' },
]

const missing = installMissing(suites)
const obstacle = installObstacle() ?? 'the package could not be installed'
for (const { command, package: name, suite } of suites.filter((tool) => missing.includes(tool))) {
  console.error(
    `Left out: tests of ${suite}. ${command} is missing and ${obstacle}. To run them: apt-get install ${name}`,
  )
}
