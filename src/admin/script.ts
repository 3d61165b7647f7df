/**
 * Runs in the browser. Fetches the page again and swaps the parts marked data-live that changed, so the server alone knows how
 * anything looks. Focus, selection, scroll position and opened details stay; what changed in words is read out once.
 */
export const script = `
(() => {
  const interval = 2000
  const say = (text) => { document.getElementById('announcer').textContent = text }
  const build = (page) => page.querySelector('meta[name=build]')?.content
  const parts = (page) => [...page.querySelectorAll('[data-live]')].map((part) => part.id).join()
  let timer, running

  const selecting = (part) => {
    const selection = getSelection()
    return selection.type === 'Range' && part.contains(selection.anchorNode)
  }

  function swap(page) {
    const news = []
    for (const fresh of page.querySelectorAll('[data-live]')) {
      const old = document.getElementById(fresh.id)
      if (old.dataset.said !== fresh.dataset.said && fresh.dataset.said) news.push(fresh.dataset.said)
      if (old.outerHTML === fresh.outerHTML || selecting(old) || old.querySelector('[aria-busy=true]')) continue
      for (const details of old.querySelectorAll('details[open]')) fresh.querySelector('#' + CSS.escape(details.id))?.setAttribute('open', '')
      const focused = old.contains(document.activeElement) ? document.activeElement.id : ''
      old.replaceWith(document.adoptNode(fresh))
      if (focused) document.getElementById(focused)?.focus({ preventScroll: true })
    }
    if (news.length) say(news.join(' '))
  }

  async function update() {
    const answer = await fetch('/', { headers: { accept: 'text/html' }, cache: 'no-store', signal: AbortSignal.timeout(10000) })
    if (!answer.ok) throw new Error(answer.status)
    const page = new DOMParser().parseFromString(await answer.text(), 'text/html')
    if (build(page) !== build(document) || parts(page) !== parts(document)) return location.reload()
    document.title = page.title
    swap(page)
  }

  function poll() {
    clearTimeout(timer)
    running ??= update()
      .then(() => { document.getElementById('offline').hidden = true })
      .catch(() => { document.getElementById('offline').hidden = false })
      .finally(() => {
        running = undefined
        if (document.visibilityState === 'visible') timer = setTimeout(poll, interval)
      })
    return running
  }

  document.addEventListener('visibilitychange', () => { if (document.visibilityState === 'visible') poll() })

  document.addEventListener('submit', async (event) => {
    event.preventDefault()
    const button = event.submitter
    if (button.getAttribute('aria-busy') === 'true') return
    const label = button.textContent
    button.setAttribute('aria-busy', 'true')
    button.textContent = 'Refreshing…'
    say('Refreshing.')
    let said = 'The token was refreshed.'
    try {
      const answer = await fetch(event.target.action, { method: 'POST', headers: { accept: 'application/json' } })
      if (!answer.ok) said = 'Not refreshed. ' + (await answer.json()).detail
    } catch {
      said = 'The sidecar did not answer.'
    }
    button.removeAttribute('aria-busy')
    button.textContent = label
    await running
    await poll()
    say(said)
  })

  timer = setTimeout(poll, interval)
})()
`
