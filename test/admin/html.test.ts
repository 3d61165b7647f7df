import assert from 'node:assert/strict'
import test from 'node:test'
import fc from 'fast-check'
import { html, Html } from '../../src/admin/html.ts'

test('a value is text, in an element as in an attribute', () => {
  const evil = `<b title='x' class="y">&amp;</b>`
  const expected = '&lt;b title=&#39;x&#39; class=&quot;y&quot;&gt;&amp;amp;&lt;/b&gt;'
  assert.equal(html`<p title="${evil}">${evil}</p>`.text, `<p title="${expected}">${expected}</p>`)
})

test('no text whatever leaves its place', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'binary' }), (text) => {
      assert.doesNotMatch(html`${text}`.text, /[<>"']/)
    }),
  )
})

test('markup made by the tag is kept, what is missing leaves nothing', () => {
  const items = [1, 2].map((item) => html`<li>${item}</li>`)
  assert.equal(html`<p>${items}</p>`.text, '<p><li>1</li><li>2</li></p>')
  assert.equal(html`<p>${null}${undefined}${false}${0}${''}</p>`.text, '<p>0</p>')
  assert.equal(html`<p>${new Html('<hr>')}</p>`.text, '<p><hr></p>')
})
