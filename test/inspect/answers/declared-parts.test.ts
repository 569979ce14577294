import { describe, expect, test } from 'vitest'
import { flows, queue, workflow } from '../../../src/flow/index.ts'
import { entity, projection, supervisor, worker } from '../../../src/index.ts'
import { declaredParts, partChanges } from '../../../src/inspect/answers/declared-parts.ts'

const server = { init: () => 0, calls: {}, casts: {} }

describe('the parts of a configuration', () => {
  test('are its workflows, queues, entities, workers, supervisors and projections', () => {
    const app = supervisor('app', {}, [
      entity('stock', server),
      flows({
        workflows: [workflow('order', async () => 0)],
        queues: [queue('mails', async () => 0)],
      }),
      supervisor('web', {}, [worker('http', './http.ts')]),
      worker('counter', server, { durable: true }),
    ])
    const projections = [projection('totals', { version: 1, project: () => [] })]

    expect(declaredParts({ dir: 'd', app, projections })).toEqual([
      ...['supervisor app', 'entity stock', 'workflow order', 'queue mails'],
      ...['supervisor web', 'worker http', 'durable worker counter', 'projection totals'],
    ])
  })

  test('are none without a tree', () => {
    expect(declaredParts({ dir: 'd' })).toEqual([])
  })

  test('differ by what is new and what is gone, and say nothing where they do not', () => {
    expect(partChanges(['a', 'b'], ['b', 'c', 'd'])).toEqual(['new: c, d', 'gone: a'])
    expect(partChanges(['a'], ['a'])).toEqual([])
  })
})
