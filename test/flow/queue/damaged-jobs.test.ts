/** The jobs of a queue whose rows cannot be read: they are set aside, and the others go on. */
import { expect, test } from 'vitest'
import { flow } from '../../../src/flow/index.ts'
import type { Simulation } from '../../../src/testing/index.ts'
import { jobWorld } from '../../support/worlds/job-world.ts'
import { codeOf } from '../../support/worlds/simulated-instance.ts'

test('a job whose blob is damaged is CORRUPT to a look and an update, and stays', async () => {
  const { s, mails, job, counts } = await jobWorld({}, { blobs: { threshold: 1_000 } })
  await s.during(flow(s.app).pause(mails))
  await s.during(flow(s.app).addMany(mails, ['a', 'x'.repeat(50_000), 'b']))
  await s.close()
  damageBlob(s, 20_000)
  await s.start()
  expect(await s.during(codeOf(job(2).get()))).toBe('CORRUPT')
  expect(await s.during(codeOf(job(2).result()))).toBe('CORRUPT')
  expect(await s.during(codeOf(job(2).remove()))).toBe('CORRUPT')
  expect(await s.during(codeOf(job(2).update({ priority: 1 })))).toBe('CORRUPT')
  expect(await s.during(flow(s.app).drain(mails))).toBe(2)
  expect(await counts()).toMatchObject({ ready: 0, unreadable: ['2'] })
  expect(await s.during(codeOf(job(2).remove()))).toBe('CORRUPT')
})

test('a dead job whose blob is damaged holds up no other job', async () => {
  const { s, add, fails, job, names, done, counts } = await jobWorld(
    { retry: { max: 1 } },
    { blobs: { threshold: 1_000 } },
  )
  const large = 'x'.repeat(50_000)
  await add(large)
  await s.settle()
  fails(large)
  await s.advance(100)
  await s.close()
  damageBlob(s, 80_000)
  await s.start()
  await s.advance(100)

  await add('b')
  await s.advance(100)
  done('b')

  expect(names).toEqual([large, 'b'])
  expect(await s.during(job(2).result())).toBeUndefined()
  expect(await counts()).toMatchObject({ dead: 1, running: 0 })
})

/** `at`: the offset in the file of the blobs, where each has the place after the one before. */
const damageBlob = ({ disk }: Simulation, at: number): void => {
  const paths = (folder: string): string[] =>
    disk.list(folder).flatMap((name) => {
      const path = `${folder}/${name}`
      return disk.entry(path)?.kind === 'folder' ? paths(path) : [path]
    })
  const [blob] = paths('').filter((path) => /blob/.test(path))
  disk.poke(blob as string, at, new Uint8Array(100))
}
