import assert from 'node:assert/strict'
import { existsSync } from 'node:fs'
import { createServer } from 'node:http'
import { after, before, describe, it, type TestContext } from 'node:test'
import { chromium, type Browser, type BrowserContextOptions, type Page } from 'playwright-core'
import { ProxyError } from '../../src/errors.ts'
import { listen } from '../../src/http/listen.ts'
import { empty, FakeCredentials, startAdmin, working } from './fixture.ts'

const executablePath = ['/usr/bin/chromium', '/usr/bin/chromium-browser', '/usr/bin/google-chrome'].find((path) =>
  existsSync(path),
)
const skip = executablePath === undefined && 'no Chromium here; on Debian: apt-get install chromium'

describe('the status page in a real browser', { skip }, () => {
  let browser: Browser
  before(async () => {
    browser = await chromium.launch({
      executablePath: executablePath ?? '',
      args: ['--no-sandbox', '--disable-dev-shm-usage'],
    })
  })
  after(() => browser.close())

  /** A page that fails the test when the browser complains about anything, a refused script or style above all. */
  async function open(
    t: TestContext,
    url: string,
    options: BrowserContextOptions = {},
    expected = /$^/,
  ): Promise<Page> {
    const context = await browser.newContext(options)
    t.after(() => context.close())
    const page = await context.newPage()
    const complaints: string[] = []
    page.on('console', (message) => {
      if (message.type() === 'error' && !expected.test(message.text())) complaints.push(message.text())
    })
    page.on('pageerror', (error) => complaints.push(error.message))
    t.after(() => assert.deepEqual(complaints, []))
    await page.goto(url)
    return page
  }

  const heading = (page: Page) => page.getByRole('heading', { level: 1 })

  for (const colorScheme of ['light', 'dark'] as const) {
    it(`fits into 400 pixels in ${colorScheme} and names its parts`, async (t) => {
      const { url } = await startAdmin(
        t,
        new FakeCredentials(working(), empty({ name: 'a-rather-long-name-of-a-credential' })),
      )
      const page = await open(t, url, { colorScheme, viewport: { width: 400, height: 800 } })
      assert.equal(await page.evaluate('document.documentElement.scrollWidth'), 400)
      const ground = await page.evaluate('getComputedStyle(document.body).backgroundColor')
      assert.equal(ground, colorScheme === 'light' ? 'rgb(246, 245, 241)' : 'rgb(18, 21, 19)')
      assert.equal(await page.getByRole('article', { name: 'sky' }).count(), 1)
      assert.equal(await page.getByRole('img', { name: 'Life of the access token: 52 minutes left' }).count(), 1)
      assert.equal(await page.getByRole('img', { name: 'One refresh, successful.' }).count(), 1)
      assert.equal(await page.getByRole('region', { name: 'Routes' }).count(), 1)
    })
  }

  it('shows what changes without losing focus, scroll position or opened details, and reads it out', async (t) => {
    const credentials = new FakeCredentials(working())
    const { url } = await startAdmin(t, credentials)
    const page = await open(t, url, { viewport: { width: 400, height: 300 } })
    await page.getByText('Latest refreshes').click()
    const button = page.getByRole('button', { name: 'Refresh now sky' })
    await button.focus()
    await page.evaluate('window.marker = true')
    const scrolled = await page.evaluate('scrollY')
    assert.ok(Number(scrolled) > 0)
    credentials.statuses = [working({ state: 'degraded', lastError: 'It answered 503.', usable: true })]
    await page.getByRole('heading', { name: 'sky has trouble' }).waitFor()
    assert.equal(await page.getByRole('status').textContent(), 'sky: Degraded.')
    assert.equal(await page.title(), 'sky has trouble - bearer-sidecar')
    assert.equal(await page.evaluate('document.activeElement.id'), 'credential-sky-refresh')
    assert.equal(await page.evaluate('scrollY'), scrolled)
    assert.equal(await page.locator('details').getAttribute('open'), '')
    assert.equal(await page.evaluate('window.marker'), true, 'the page was not loaded anew')
  })

  it('refreshes at the press of a key and says how it went', async (t) => {
    const credentials = new FakeCredentials(working())
    const { url } = await startAdmin(t, credentials)
    const page = await open(t, url, {}, /status of 502/)
    const button = page.getByRole('button', { name: 'Refresh now sky' })
    await button.focus()
    await page.keyboard.press('Enter')
    await page.getByText('The token was refreshed.').waitFor({ state: 'attached' })
    credentials.failure = new ProxyError('token_endpoint_unavailable', { detail: 'It is down.' })
    await page.keyboard.press('Enter')
    await page.getByText('Not refreshed. It is down.').waitFor({ state: 'attached' })
    assert.deepEqual(credentials.calls, [
      ['refresh', 'sky', undefined],
      ['refresh', 'sky', undefined],
    ])
    assert.equal(await page.evaluate('document.activeElement.id'), 'credential-sky-refresh')
  })

  it('logs in through the provider and shows that it worked', async (t) => {
    const credentials = new FakeCredentials(empty())
    const { url } = await startAdmin(t, credentials)
    const provider = createServer((request, response) => {
      const back = new URL(`${url}/callback?code=c`)
      back.searchParams.set('state', new URL(request.url ?? '', 'http://p').searchParams.get('state') ?? '')
      response.setHeader('content-type', 'text/html').end(`<a href="${back.href.replace('&', '&amp;')}">Allow</a>`)
    })
    t.after(() => provider.close().closeAllConnections())
    const { port } = await listen(provider, '127.0.0.1:0')
    credentials.loginUrl = `http://localhost:${port}/authorize?state=s1`
    const page = await open(t, url, {}, /favicon\.ico|status of 404/)
    await page.getByRole('link', { name: 'Connect sky' }).click()
    await page.getByRole('link', { name: 'Allow' }).click()
    await page.getByRole('heading', { name: 'Connected' }).waitFor()
    await page.getByRole('link', { name: 'Open the status page' }).click()
    await page.getByRole('heading', { name: 'sky is working' }).waitFor()
  })

  it('works without JavaScript', async (t) => {
    const credentials = new FakeCredentials(working())
    const { url } = await startAdmin(t, credentials)
    const page = await open(t, url, { javaScriptEnabled: false })
    assert.equal(await page.locator('meta[http-equiv=refresh]').getAttribute('content'), '30')
    await page.getByRole('button', { name: 'Refresh now sky' }).click()
    await page.waitForURL(`${url}/#credential-sky`)
    assert.deepEqual(credentials.calls, [['refresh', 'sky', undefined]])
    assert.equal(await heading(page).textContent(), 'sky is working')
  })

  it('says so when the sidecar is gone', async (t) => {
    const { url, close } = await startAdmin(t, new FakeCredentials(working()))
    const page = await open(t, url, {}, /ERR_CONNECTION_REFUSED/)
    assert.equal(await page.getByRole('alert').isVisible(), false)
    await close(0)
    await page.getByRole('alert').filter({ hasText: 'does not answer' }).waitFor()
  })

  it('cannot be framed, read or posted to by a foreign page', async (t) => {
    const credentials = new FakeCredentials(working())
    const { url } = await startAdmin(t, credentials)
    const foreign = createServer((_request, response) =>
      response.setHeader('content-type', 'text/html').end('<title>foreign</title>'),
    )
    t.after(() => foreign.close().closeAllConnections())
    const page = await open(t, (await listen(foreign, '127.0.0.1:0')).url, {}, /./)
    // As text: it runs in the browser, whose types the rest of the project has no use for.
    const outcomes = await page.evaluate(`(async (admin) => {
      const attempt = (path, init) => fetch(admin + path, init).then((answer) => answer.type, () => 'refused')
      const frame = document.createElement('iframe')
      frame.src = admin
      const loaded = new Promise((resolve) => frame.addEventListener('load', resolve))
      document.body.append(frame)
      await loaded
      return {
        read: await attempt('/status'),
        put: await attempt('/credentials/sky/token', { method: 'PUT', body: '{}' }),
        form: await attempt('/credentials/sky/refresh', { method: 'POST', mode: 'no-cors' }),
      }
    })(${JSON.stringify(url)})`)
    assert.deepEqual(outcomes, { read: 'refused', put: 'refused', form: 'refused' })
    assert.deepEqual(credentials.calls, [])
    assert.equal(page.frames()[1]?.url(), 'chrome-error://chromewebdata/')
  })
})
