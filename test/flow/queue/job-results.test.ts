/** The logs and the results of jobs. */
import { describe, expect, test } from 'vitest'
import type { JobLook, JobTry } from '../../../src/flow/index.ts'
import { jobWorld, restart } from '../../support/worlds/job-world.ts'
import { codeOf } from '../../support/worlds/simulated-instance.ts'

describe('the log of a job', () => {
  test('is kept with each try that fails, over crashes, and a dead job shows it', async () => {
    const { s, add, get, tries, fails } = await jobWorld({ retry: { max: 2 } })
    await add('a')
    await s.settle()
    tries.get('a')?.log('first')
    expect((await get(1))?.log).toEqual(['first'])
    fails('a')
    await s.settle()
    await restart(s)
    await s.advance(2_000)
    const { log } = tries.get('a') as JobTry
    log('second')
    log('third')
    fails('a')
    await s.settle()
    await restart(s)
    expect(await get(1)).toMatchObject({ state: 'dead', log: ['first', 'second', 'third'] })
  })

  test('has the last 100 lines of all tries together', async () => {
    const { s, add, get, tries, fails } = await jobWorld({ retry: { max: 2 } })
    await add('a')
    for (let attempt = 1; attempt <= 2; attempt++) {
      await s.advance(2_000)
      for (let line = 1; line <= 60; line++) tries.get('a')?.log(`${attempt} ${line}`)
      fails('a')
      tries.get('a')?.log('late')
    }
    await s.advance(100)
    tries.get('a')?.log('too late')
    const { log = [] } = (await get(1)) ?? {}
    expect([log.length, log[0], log.at(-1)]).toEqual([100, '1 23', 'late'])
  })

  test('has the last 100 lines, of 32 KiB, each cut off at 1,000 characters', async () => {
    const { s, add, get, tries, fails } = await jobWorld({ retry: { max: 1 } })
    await add('a')
    await add('b')
    await s.settle()
    for (let line = 1; line <= 150; line++) tries.get('a')?.log(`line ${line}`)
    for (let line = 1; line <= 50; line++) tries.get('b')?.log(`${line} ${'ä'.repeat(2_000)}`)
    expect(() => tries.get('a')?.log(7 as never)).toThrow(
      expect.objectContaining({ code: 'INVALID_ARGUMENT' }),
    )
    fails('a')
    fails('b')
    await s.settle()
    const [first, second] = [await get(1), await get(2)]
    expect([first?.log.length, first?.log[0], first?.log.at(-1)]).toEqual([
      ...[100, 'line 51', 'line 150'],
    ])
    expect(second?.log.length).toBe(16)
    expect(second?.log.at(-1)).toBe(`50 ${'ä'.repeat(997)}`)
  })
})

describe('the result of a job', () => {
  test('is what its handler returned, for callers that wait and, if it is kept, for later ones', async () => {
    const { s, add, job, get, tries, done } = await jobWorld({ keep: { results: '2h' } })
    await add('a', { key: 'k' })
    await s.settle()
    const waiting = job(1).result()
    tries.get('a')?.log('sent')
    done('a', { id: 7, list: [1, null] })
    expect(await s.during(waiting)).toEqual({ id: 7, list: [1, null] })
    await restart(s)
    expect(await s.during(job(1).result())).toEqual({ id: 7, list: [1, null] })
    expect(await get(1)).toMatchObject({
      ...{ state: 'done', key: 'k', tries: 1, log: ['sent'], input: undefined },
      result: { id: 7 },
    })
    await s.advance(3 * 3_600_000)
    expect(await get(1)).toBeUndefined()
    expect(await s.during(codeOf(job(1).result()))).toBe('CONFLICT')
  })

  test('is not kept unless the queue says so: then only those have it that waited', async () => {
    const { s, add, job, state, done } = await jobWorld()
    await add('a')
    await s.settle()
    const results = [job(1).result(), job(1).result()]
    done('a', ['x'])
    const [one, other] = await s.during(Promise.all(results))
    expect(one).toEqual(['x'])
    expect(other).not.toBe(one)
    expect(await state(1)).toBeUndefined()
    expect(await s.during(codeOf(job(1).result()))).toBe('CONFLICT')
  })

  test('is there for a caller that asks while the end of the job is being written', async () => {
    const { s, add, job, done } = await jobWorld()
    await add('a')
    await s.settle()
    s.syncMs = 50
    done('a', 1)
    await s.advance(10)
    const result = job(1).result()
    expect(await s.during(result)).toBe(1)
  })

  test('is FAILED when the job is dead, also for a caller that comes later', async () => {
    const { s, add, job, fails } = await jobWorld({ retry: { max: 1 } })
    await add('a')
    await s.settle()
    const waiting = job(1).result()
    fails('a')
    const failed = { code: 'FAILED', cause: { message: 'no a' } }
    await expect(s.during(waiting)).rejects.toMatchObject(failed)
    await restart(s)
    await expect(s.during(job(1).result())).rejects.toMatchObject(failed)
    await expect(s.during(job(2).result())).rejects.toMatchObject({ code: 'CONFLICT' })
  })

  test('that cannot be stored fails the try, with the path, if results are kept', async () => {
    const kept = await jobWorld({ keep: { results: '1d' }, retry: { max: 1 } })
    await kept.add('a')
    await kept.add('b')
    await kept.s.settle()
    kept.done('a', { list: [{ send: () => 1 }] })
    kept.done('b', 'x'.repeat(960 * 1024 + 1))
    await kept.s.settle()
    const { state, error } = (await kept.get(1)) as JobLook
    expect([state, (error as { code?: string }).code]).toEqual(['dead', 'INVALID_ARGUMENT'])
    expect(error?.message).toMatch(/list\.0\.send/)
    expect(await kept.get(2)).toMatchObject({ state: 'dead', error: { code: 'TOO_LARGE' } })
  })

  test('that cannot be copied is refused to callers that wait, and its job is done', async () => {
    const { s, add, job, counts, done } = await jobWorld()
    await add('a')
    await s.settle()
    const waiting = codeOf(job(1).result())
    done('a', () => 1)
    expect(await s.during(waiting)).toBe('INVALID_ARGUMENT')
    expect(await counts()).toMatchObject({ running: 0, dead: 0, delayed: 0 })
  })

  test('is waited for with a time, and until a close', async () => {
    const { s, add, job } = await jobWorld()
    await add('a', { delay: '1h' })
    expect(await s.during(codeOf(job(1).result({ timeoutMs: 1_000 })))).toBe('TIMEOUT')
    const waiting = codeOf(job(1).result())
    await s.settle()
    await s.close()
    expect(await waiting).toBe('CLOSED')
  })
})
