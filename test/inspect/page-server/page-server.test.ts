/** The server of the page over real sockets: who is refused, and that nothing acts but a planned POST. */
import { once } from 'node:events'
import { describe, expect, test } from 'vitest'
import { virtualClock } from '../../../src/clock.ts'
import { KeelsonError } from '../../../src/errors.ts'
import type { Asked } from '../../../src/inspect/attach/attach-protocol.ts'
import { Nonces, Tokens } from '../../../src/inspect/page-server/admission.ts'
import { pageServed, sourceOf } from '../../support/worlds/page-client.ts'

const header = { instance: 'a', pid: 1 }

const looking = sourceOf(() => ({ header, data: { rows: [] } }))

const kill = { act: 'kill', pid: 7, reason: 'it hangs' }

const planned = { effect: 'kills it', start: '1' }

/** A source that notes which actions reach the instance. */
const acting = () => {
  const acts: Asked[] = []
  const source = sourceOf((request) => {
    if ('plan' in request) return planned
    acts.push(request)
    return { text: 'done' }
  })
  return { acts, source }
}

test('a look without an answer is a frame with its error before a browser gives its stream up, after 8 s', async () => {
  const clock = virtualClock()
  let asked = (): void => undefined
  const isAsked = new Promise<void>((resolve) => {
    asked = resolve
  })
  const source = sourceOf((request) => {
    if (!('look' in request) || request.look !== 'tree') return { header, data: null }
    asked()
    return new Promise(() => undefined)
  })
  const { opened } = await pageServed({ source, clock })
  const opening = opened('/api/stream?view=tree')
  await isAsked
  await clock.advance(7_000)
  const response = await opening
  const [bytes] = await once(response, 'data')
  const frame = JSON.parse(String(bytes).slice('data: '.length))
  expect(frame).toMatchObject({ header, error: { code: 'TIMEOUT' } })
  response.destroy()
})

describe('a request is refused', () => {
  test('with another host, whatever the address is that it came to', async () => {
    const { ask, bearer, port } = await pageServed({ source: looking })

    for (const host of [
      'evil.example',
      `evil.example:${port}`,
      '127.0.0.1',
      `127.0.0.1.evil:${port}`,
    ])
      expect((await ask('/api/header', { headers: { ...bearer, host } })).status, host).toBe(421)
    for (const host of [`127.0.0.1:${port}`, `localhost:${port}`, `[::1]:${port}`])
      expect((await ask('/api/header', { headers: { ...bearer, host } })).status, host).toBe(200)
  })

  test('of a page of another origin, or of none', async () => {
    const { ask, bearer, port } = await pageServed({ source: looking })

    for (const origin of [
      'http://evil.example',
      'null',
      `https://127.0.0.1:${port}`,
      `http://127.0.0.1:${port + 1}`,
    ])
      expect((await ask('/api/header', { headers: { ...bearer, origin } })).status, origin).toBe(
        403,
      )
    for (const site of ['cross-site', 'same-site', 'none'])
      expect(
        (await ask('/api/header', { headers: { ...bearer, 'sec-fetch-site': site } })).status,
        site,
      ).toBe(403)
    const own = { origin: `http://127.0.0.1:${port}`, 'sec-fetch-site': 'same-origin' }
    expect((await ask('/api/header', { headers: { ...bearer, ...own } })).status).toBe(200)
    expect((await ask('/', { headers: { 'sec-fetch-site': 'none' } })).status).toBe(200)
    expect((await ask('/', { headers: { 'sec-fetch-site': 'cross-site' } })).status).toBe(403)
  })

  test('without the token, or with another one', async () => {
    const { ask, opened, post } = await pageServed({ source: looking })

    for (const headers of [
      {},
      { authorization: 'Bearer x' },
      { authorization: '' },
      { cookie: 'token=x' },
    ])
      for (const path of ['/api/header', '/api/stream?view=header', '/api/nothing']) {
        const { status, text, headers: answered } = await ask(path, { headers })
        expect([status, JSON.parse(text).error.code]).toEqual([401, 'UNAUTHORIZED'])
        expect(answered['www-authenticate']).toBe('Bearer realm="keelson"')
      }
    expect((await post('/api/act', kill, {})).status).toBe(401)
    expect((await opened('/api/stream?view=header')).destroy().statusCode).toBe(200)
  })

  test('for a path, a method or a body that is none of the page', async () => {
    const { ask, post, bearer } = await pageServed({ source: looking, isWriting: true })

    expect((await ask('/etc/passwd')).status).toBe(404)
    expect((await ask('/api/header', { method: 'DELETE' })).status).toBe(405)
    expect(await ask('/api/header', { method: 'HEAD' })).toMatchObject({ status: 405, text: '' })
    expect((await post('/api/header', {})).status).toBe(404)
    expect((await post('/api/plan', 'x'.repeat(100_000))).status).toBe(413)
    const typed = (type: string, body: string) =>
      ask('/api/plan', { method: 'POST', headers: { ...bearer, 'content-type': type }, body })
    expect((await typed('text/plain', '{}')).status).toBe(415)
    expect((await typed('application/json', '{')).status).toBe(400)
  })
})

test('every answer is kept by no cache, shows its origin to nobody, and names what a browser may load', async () => {
  const { ask } = await pageServed({ source: looking })

  for (const path of ['/', '/api/header', '/nothing'])
    expect((await ask(path)).headers).toMatchObject({
      'cache-control': 'no-store',
      'x-content-type-options': 'nosniff',
      'referrer-policy': 'no-referrer',
      'content-security-policy': expect.stringContaining("default-src 'none'"),
    })
  expect((await ask('/api/header')).headers).not.toHaveProperty('access-control-allow-origin')
})

test('a code is good once and for 30 s, and a token of another server is none', async () => {
  const clock = virtualClock()
  const tokens = new Tokens(clock)
  const [first, second] = [tokens.code(), tokens.code()]
  const token = tokens.exchanged(first)

  expect(tokens.admits(`Bearer ${token}`)).toBe(true)
  expect(Buffer.from(token ?? '', 'base64url')).toHaveLength(32)
  expect(tokens.exchanged(first)).toBeUndefined()
  expect(new Tokens(clock).admits(`Bearer ${token}`)).toBe(false)
  await clock.advance(30_001)
  expect(tokens.exchanged(second)).toBeUndefined()
  expect(tokens.exchanged(undefined)).toBeUndefined()
})

test('the page exchanges its code for the token over HTTP, once', async () => {
  const { post, tokens } = await pageServed({ source: looking })
  const code = tokens.code()

  const { status, text } = await post('/api/session', { code }, {})
  expect(status).toBe(200)
  expect(tokens.admits(`Bearer ${JSON.parse(text).token}`)).toBe(true)
  expect((await post('/api/session', { code }, {})).status).toBe(401)
})

test('a refusal of the instance is an answer, so that a browser has no failed request', async () => {
  const source = sourceOf(() => {
    throw new KeelsonError('NO_PROCESS', 'there is no process <7> any more')
  })
  const { ask, post } = await pageServed({ source, isWriting: true })
  const error = { code: 'NO_PROCESS', message: 'there is no process <7> any more' }

  for (const { status, text } of [await ask('/api/process?pid=7'), await post('/api/plan', kill)])
    expect([status, JSON.parse(text)]).toEqual([200, { error }])
})

describe('an action', () => {
  test('is performed by a POST with the nonce of its plan, once, and with what was planned', async () => {
    const { acts, source } = acting()
    const { post } = await pageServed({ source, isWriting: true })

    const { reason: _, ...proposed } = kill
    const { nonce, effect } = JSON.parse((await post('/api/plan', proposed)).text)
    expect([effect, acts]).toEqual(['kills it', []])
    expect((await post('/api/act', { ...kill, nonce })).status).toBe(200)
    expect(acts).toEqual([{ act: kill, planned }])
    expect((await post('/api/act', { ...kill, nonce })).status).toBe(409)
    expect(acts).toHaveLength(1)
  })

  test('is refused with the nonce of another action, or without one', async () => {
    const { acts, source } = acting()
    const { post } = await pageServed({ source, isWriting: true })
    const { nonce } = JSON.parse((await post('/api/plan', kill)).text)

    expect((await post('/api/act', { ...kill, pid: 8, nonce })).status).toBe(409)
    expect((await post('/api/act', { ...kill, nonce })).status).toBe(409)
    expect((await post('/api/act', kill)).status).toBe(409)
    expect(acts).toEqual([])
  })

  test('is refused without --write, and by a GET', async () => {
    const { acts, source } = acting()
    const reading = await pageServed({ source })
    const writing = await pageServed({ source, isWriting: true })

    expect((await reading.post('/api/plan', kill)).status).toBe(403)
    expect((await reading.post('/api/act', { ...kill, nonce: 'x' })).status).toBe(403)
    await writing.ask('/api/act?act=kill&pid=7&reason=x')
    expect(acts).toEqual([{ look: 'act', query: { act: 'kill', pid: '7', reason: 'x' } }])
  })

  test('cannot be performed a minute after its plan', async () => {
    const clock = virtualClock()
    const nonces = new Nonces(clock)
    const nonce = nonces.plan(kill as never, planned)
    await clock.advance(60_001)

    expect(nonces.used(nonce, kill as never)).toBeUndefined()
  })
})
