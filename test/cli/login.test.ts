import assert from 'node:assert/strict'
import { createServer } from 'node:http'
import test, { type TestContext } from 'node:test'
import { login } from '../../src/cli/login.ts'
import { pastedCallback } from '../../src/cli/pasted-address.ts'
import { listen } from '../../src/http/listen.ts'
import { call, empty, FakeCredentials, minutes, startAdmin, working, type Answer } from '../admin/fixture.ts'
import { TestClock } from '../helpers/clock.ts'
import { commandDeps, configFolder, input, silentTerminal, terminal } from './fixture.ts'

const nobody = '127.0.0.1:1'

/** A provider's authorization request whose answer goes to `redirectUri`. */
const loginUrl = (redirectUri: string) =>
  `https://provider.example/authorize?client_id=id&state=s1&redirect_uri=${encodeURIComponent(redirectUri)}`

/** A port that was free a moment ago. */
async function freePort(): Promise<number> {
  const server = createServer()
  const { port = 0 } = await listen(server, '127.0.0.1:0')
  await new Promise((resolve) => server.close(resolve))
  return port
}

/** Credentials without a login whose redirect URI is a port of this machine. */
async function loopback(): Promise<{ store: FakeCredentials; callback: string }> {
  const store = new FakeCredentials(empty())
  const callback = `http://localhost:${await freePort()}/some/callback`
  store.loginUrl = loginUrl(callback)
  return { store, callback }
}

test('without a sidecar the browser comes back to a listener of the command, once', async (t) => {
  const { store, callback } = await loopback()
  const answers: Answer[] = []
  const page = Promise.withResolvers<Answer>()
  const openBrowser = async (url: string) => {
    assert.equal(url, store.loginUrl)
    answers.push(await call(`${callback.replace('/some', '')}?code=c&state=s1`))
    answers.push(await call(`${callback}?code=c`))
    answers.push(await call(`${callback}?code=c&state=s1`, { headers: { host: 'evil.example' } }))
    call(`${callback}?code=the-code&state=s1`).then(page.resolve, page.reject)
  }
  const shown = terminal(configFolder(t, nobody))
  assert.equal(await login('sky', {}, shown.io, commandDeps(store, { openBrowser })), 0)
  assert.deepEqual(
    answers.map(({ status }) => status),
    [404, 404, 403],
  )
  const { status, body } = await page.promise
  assert.equal(status, 200)
  assert.match(body, /<h1>Connected<\/h1>/)
  assert.doesNotMatch(body, /the-code/)
  assert.deepEqual(store.calls.at(-1), ['finishLogin', 'code=the-code&state=s1'])
  assert.ok(shown.err().includes(store.loginUrl), 'the address is printed before anything is opened')
  assert.equal(shown.out(), 'sky is active: access token 52 minutes left, refresh token 212 days left.\n')
  await assert.rejects(call(callback), /ECONNREFUSED/)
})

test('a browser that cannot be opened changes nothing', async (t) => {
  const { store, callback } = await loopback()
  const shown = terminal(configFolder(t, nobody))
  const deps = commandDeps(store, { openBrowser: () => Promise.reject(new Error('spawn xdg-open ENOENT')) })
  const done = login('sky', {}, shown.io, deps)
  await shown.said('Waiting for the browser')
  await call(`${callback}?code=c&state=s1`)
  assert.equal(await done, 0)
})

test('a refused login ends with exit code 1, in the browser too', async (t) => {
  const { store, callback } = await loopback()
  const page = Promise.withResolvers<Answer>()
  const openBrowser = async () => {
    await Promise.resolve()
    call(`${callback}?error=access_denied&error_description=marker&state=s1`).then(page.resolve, page.reject)
  }
  const shown = terminal(configFolder(t, nobody))
  assert.equal(await login('sky', {}, shown.io, commandDeps(store, { openBrowser })), 1)
  assert.match(shown.err(), /The provider did not grant access \(access_denied\)\./)
  assert.match((await page.promise).body, /<h1>Login failed<\/h1>/)
  assert.doesNotMatch((await page.promise).body + shown.err(), /marker/)
})

/** A running sidecar to whose own callback the provider sends the browser. */
async function sidecar(t: TestContext) {
  const running = new FakeCredentials(empty())
  const { url } = await startAdmin(t, running)
  running.loginUrl = loginUrl(`${url.replace('127.0.0.1', 'localhost')}/callback`)
  return { running, url, folder: configFolder(t, url.replace('http://', '')) }
}

/** Lets the command look `times` times at the sidecar, a second apart, or until it is done. */
async function letLook(
  clock: TestClock,
  running: FakeCredentials,
  done: Promise<unknown>,
  times = Infinity,
): Promise<void> {
  const state = { over: false }
  const end = done.finally(() => (state.over = true))
  for (let look = 0; look < times && !state.over; look++) {
    const looked = new Promise<void>((resolve) => {
      running.list = () => {
        resolve()
        return running.statuses
      }
    })
    await clock.advance(1_000)
    await Promise.race([looked, end])
  }
}

test('with a sidecar the browser comes back to it, and the command sees that', async (t) => {
  const { running, url, folder } = await sidecar(t)
  const clock = new TestClock()
  const shown = terminal(folder)
  const openBrowser = () => call(`${url}/callback?code=c&state=s1`)
  const deps = commandDeps(new FakeCredentials(), { clock, openBrowser })
  const done = login('sky', {}, shown.io, deps)
  await shown.said('Waiting for the browser')
  await letLook(clock, running, done)
  assert.equal(await done, 0)
  assert.match(shown.out(), /^sky is active: /)
  assert.deepEqual(running.calls, [
    ['beginLogin', 'sky', undefined],
    ['finishLogin', 'code=c&state=s1'],
  ])
  assert.equal(deps.opened, 0)
})

test('an ordinary refresh is not taken for the login', async (t) => {
  const { running, folder } = await sidecar(t)
  running.statuses = [working()]
  const clock = new TestClock()
  const shown = terminal(folder)
  const done = login('sky', {}, shown.io, commandDeps(new FakeCredentials(), { clock }))
  await shown.said('Waiting for the browser')
  await letLook(clock, running, done, 2)
  const lastRefresh = { at: minutes(1), reason: 'expiry', outcome: 'success' } as const
  running.statuses = [working({ accessTokenIssuedAt: minutes(1), accessTokenExpiresAt: minutes(61), lastRefresh })]
  await letLook(clock, running, done, 3)
  assert.equal(shown.out(), '')
  running.statuses = [working({ accessTokenIssuedAt: minutes(2), accessTokenExpiresAt: minutes(62), lastRefresh })]
  await letLook(clock, running, done)
  assert.equal(await done, 0)
})

test("where the redirect URI is not the sidecar's, the command listens there and hands the code over", async (t) => {
  const { running, folder } = await sidecar(t)
  const { store, callback } = await loopback()
  running.loginUrl = store.loginUrl
  const openBrowser = async () => {
    await Promise.resolve()
    call(`${callback}?code=c&state=s1`).catch(() => undefined)
  }
  const shown = terminal(folder)
  assert.equal(await login('sky', {}, shown.io, commandDeps(store, { openBrowser })), 0)
  assert.deepEqual(running.calls.at(-1), ['finishLogin', 'code=c&state=s1'])
  assert.deepEqual(store.calls, [])
})

test('--no-browser opens nothing and takes the address from standard input, after a wrong line too', async (t) => {
  const store = new FakeCredentials(empty())
  store.loginUrl = loginUrl('https://localhost/')
  const opened: string[] = []
  const stdin = input('https://localhost/\n', '\nhttps://localhost/?code=c', '&state=s1&iss=https%3A%2F%2Fp#x\n')
  const shown = terminal(configFolder(t, nobody))
  const deps = commandDeps(store, { stdin, openBrowser: (url) => Promise.resolve(opened.push(url)) })
  assert.equal(await login('sky', { browser: false }, shown.io, deps), 0)
  assert.deepEqual(opened, [])
  assert.deepEqual(store.calls.at(-1), ['finishLogin', 'code=c&state=s1&iss=https%3A%2F%2Fp'])
  assert.equal(shown.err().match(/That is not it/g)?.length, 1)
})

test('a pasted address goes to the running sidecar, whose refusal is told', async (t) => {
  const { running, folder } = await sidecar(t)
  const paste = (query: string) => {
    const shown = terminal(folder)
    const stdin = input(`http://localhost:9090/callback?${query}\n`)
    return { shown, code: login('sky', { browser: false }, shown.io, commandDeps(new FakeCredentials(), { stdin })) }
  }
  assert.equal(await paste('code=c&state=s1').code, 0)
  assert.deepEqual(running.calls.at(-1), ['finishLogin', 'code=c&state=s1'])
  const wrong = paste('code=c&state=other')
  assert.equal(await wrong.code, 1)
  assert.match(wrong.shown.err(), /This login is not known/)
})

test('an input that ends without the address is exit code 1 where nothing else can bring it', async (t) => {
  const store = new FakeCredentials(empty())
  store.loginUrl = loginUrl('https://localhost/')
  const shown = terminal(configFolder(t, nobody))
  assert.equal(await login('sky', { browser: false }, shown.io, commandDeps(store)), 1)
  assert.match(shown.err(), /standard input ended before the address came/)
})

test('a taken port is said, and pasting still works', async (t) => {
  const blocker = createServer()
  t.after(() => blocker.close())
  const { port } = await listen(blocker, '127.0.0.1:0')
  const store = new FakeCredentials(empty())
  store.loginUrl = loginUrl(`http://localhost:${port}/callback`)
  const shown = terminal(configFolder(t, nobody))
  const stdin = input(`http://localhost:${port}/callback?code=c&state=s1\n`)
  assert.equal(await login('sky', {}, shown.io, commandDeps(store, { stdin })), 0)
  assert.match(
    shown.err(),
    /The browser cannot come back here: cannot listen on 127\.0\.0\.1:\d+: the address is in use/,
  )
})

test('Ctrl-C is exit code 130 and gives the port back', async (t) => {
  const { store, callback } = await loopback()
  const pressed = Promise.withResolvers<unknown>()
  const shown = terminal(configFolder(t, nobody))
  const deps = commandDeps(store, { stdin: silentTerminal(), interrupted: () => pressed.promise })
  const done = login('sky', {}, shown.io, deps)
  await shown.said('Or paste the address')
  pressed.resolve('SIGINT')
  assert.equal(await done, 130)
  await assert.rejects(call(callback), /ECONNREFUSED/)
})

test('nobody is waited for longer than ten minutes', async (t) => {
  const { store } = await loopback()
  const clock = new TestClock()
  const shown = terminal(configFolder(t, nobody))
  const done = login('sky', {}, shown.io, commandDeps(store, { clock }))
  await shown.said('Waiting for the browser')
  await clock.advance(10 * 60_000)
  assert.equal(await done, 1)
  assert.match(shown.err(), /nobody logged in within ten minutes/)
})

test('a credential that nobody can log in to is exit code 2 with what to do instead', async (t) => {
  const machine = terminal(configFolder(t, nobody, '    grant: client_credentials'))
  assert.equal(await login('sky', {}, machine.io, commandDeps(new FakeCredentials())), 2)
  assert.match(machine.err(), /it needs no login; try: bearer-sidecar refresh sky/)
  const imported = terminal(
    configFolder(
      t,
      nobody,
      '  maya: { tokenUrl: "http://127.0.0.1:1/token", grant: refresh_token, clientId: id, clientSecret: s }',
    ),
  )
  assert.equal(await login('maya', {}, imported.io, commandDeps(new FakeCredentials())), 2)
  assert.match(imported.err(), /bring a refresh token with: bearer-sidecar import maya/)
})

/** A store in which the person enters the code on another device at once. */
function deviceStore(): FakeCredentials {
  const device = {
    verificationUri: 'https://provider.example/device',
    verificationUriComplete: undefined,
    userCode: 'WDJB-MJHT',
    expiresIn: 600_000,
  }
  return Object.assign(new FakeCredentials(working()), {
    beginDeviceLogin: () => Promise.resolve({ device, finish: () => Promise.resolve(working()) }),
  })
}
const deviceGrant = '    grant: device_code\n    deviceAuthorizationUrl: http://127.0.0.1:1/device'

test('the device login shows where to go and what to enter', async (t) => {
  const shown = terminal(configFolder(t, nobody, deviceGrant))
  assert.equal(await login('sky', {}, shown.io, commandDeps(deviceStore())), 0)
  assert.match(
    shown.err(),
    /https:\/\/provider\.example\/device\nWDJB-MJHT\n\nWaiting; the code is good for 10 minutes/,
  )
  assert.match(shown.out(), /^sky is active/)
})

test('a running sidecar is handed what the device login brought', async (t) => {
  const running = new FakeCredentials(empty())
  const { url } = await startAdmin(t, running)
  const shown = terminal(configFolder(t, url.replace('http://', ''), deviceGrant))
  assert.equal(await login('sky', {}, shown.io, commandDeps(deviceStore())), 0)
  assert.deepEqual(running.calls, [
    ['adopt', 'sky', undefined, { access_token: 'access-token-of-sky', refresh_token: 'refresh-token-of-sky' }],
  ])
})

for (const [text, expected] of [
  ['https://localhost/?code=c&state=s', 'code=c&state=s'],
  ['  "http://localhost:9090/callback?state=s&error=access_denied"\n', 'state=s&error=access_denied'],
  ['code=c%2F1&state=s#fragment', 'code=c%2F1&state=s'],
  ['https://localhost/?code=c', undefined],
  ['c', undefined],
  ['', undefined],
] as const) {
  test(`${JSON.stringify(text)} ${expected === undefined ? 'is not the end of a login' : 'is understood'}`, () => {
    assert.equal(pastedCallback(text)?.toString(), expected)
  })
}
