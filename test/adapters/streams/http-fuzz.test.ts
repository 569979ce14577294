/**
 * Requests that no client would send: any header, offset, query and body. Each has an answer of the
 * protocol, none is an error of the server, and the streams are as a model says.
 */
import { expect, test } from 'vitest'
import { streamHandler } from '../../../src/adapters/streams/streams.ts'
import { seededRandom } from '../../../src/clock.ts'
import { seedsOf } from '../../support/tier.ts'
import { started } from '../../support/worlds/simulated-instance.ts'

const odd = [
  '',
  '0',
  '-1',
  '1',
  'now',
  '1e3',
  '007',
  ' ',
  'true',
  'ÿ',
  'a'.repeat(300),
  '{}',
  'null',
]

const named = [
  ['stream-ttl', ['60', ...odd]],
  ['stream-expires-at', ['2030-01-01T00:00:00Z', '2030-13-01T00:00:00Z', ...odd]],
  ['stream-closed', ['true', 'false', ...odd]],
  ['stream-seq', ['a', 'b', ...odd]],
  ['stream-forked-from', ['/s/a', '/s/b', '/s/%', '//', 'http://other/s/a', ...odd]],
  ['stream-fork-offset', ['0000000000000000_0000000000000000', ...odd]],
  ['stream-fork-sub-offset', odd],
  ['producer-id', ['p', ...odd]],
  ['producer-epoch', odd],
  ['producer-seq', odd],
  ['if-none-match', ['*', '"x"', ...odd]],
  ['origin', ['https://shop.example', ...odd]],
] as const

const types = ['application/json', 'text/plain', 'application/octet-stream', 'x', '', 'a;b;c']
const bodies = [
  '',
  '1',
  '[1,2]',
  '[]',
  '[[]]',
  '{"__proto__":1}',
  '{',
  '1e999',
  '\u0000',
  '"\\ud800"',
  '['.repeat(2_000),
  'x'.repeat(70_000),
]
const methods = [
  'GET',
  'GET',
  'GET',
  'HEAD',
  'PUT',
  'PUT',
  'POST',
  'POST',
  'DELETE',
  'PATCH',
  'OPTIONS',
]
const known = [200, 201, 204, 304, 400, 403, 404, 405, 409, 410, 413]

test.each(seedsOf(2, 200))('every request has an answer of the protocol: seed %i', async (seed) => {
  const { app, during } = await started()
  const acts = ['read', 'append', 'create', 'close', 'delete', 'fork'] as const
  const serve = streamHandler(app, (_, stream) => ({ stream, acts }), {
    base: '/s',
    cors: ['https://shop.example'],
    longPollMs: 3,
  })
  const random = seededRandom(seed)
  const any = <T>(of: readonly T[]): T => of[Math.floor(random() * of.length)] as T
  const offsets = ['-1', 'now']

  for (let each = 0; each < 250; each++) {
    const name = any(['a', 'b', 'c', 'ü', '{', '%2e%2e', ''])
    const method = any(methods)
    const headers = new Headers()
    if (random() < 0.8) headers.set('content-type', any(types))
    for (let more = Math.floor(random() * 3); more > 0; more--) {
      const [header, values] = any(named)
      headers.set(header, any<string>(values))
    }
    const offset = random() < 0.7 ? any(offsets) : any(odd)
    const live = any(['', '', '&live=long-poll', '&live=sse', '&live=x', '&cursor=9'])
    const query = random() < 0.6 ? `?offset=${encodeURIComponent(offset)}${live}` : ''
    const hasBody = method !== 'GET' && method !== 'HEAD' && random() < 0.8
    const request = new Request(`http://test/s/${name}${query}`, {
      method,
      headers,
      ...(hasBody && { body: any(bodies) }),
    })
    const response = await during(serve(request))

    expect(known, `${method} ${request.url}: ${response.status}`).toContain(response.status)
    expect(response.headers.get('x-content-type-options')).toBe('nosniff')
    const next = response.headers.get('stream-next-offset')
    if (next) offsets.push(next)
    if (response.headers.get('content-type') === 'text/event-stream') await response.body?.cancel()
    else await during(response.arrayBuffer())
  }

  for (const { name, messages } of await during(app.streams.list())) {
    const read = await during(app.streams.open(name).page())
    expect(read.messages.length).toBeLessThanOrEqual(messages)
  }
  await during(app.close())
})
