/** How far the replicas of a shard are, and who waits for them. */
import { expect, test } from 'vitest'
import { ReplicaMarks } from '../../../src/actors/replication/replica-marks.ts'
import { KeelsonError } from '../../../src/errors.ts'

const replica = (isRequired: boolean, lsn: number) => ({
  isRequired,
  lsn,
  calls: 0,
  grown() {
    this.calls++
  },
})

const marksOf = (...replicas: ReturnType<typeof replica>[]) => {
  const marks = new ReplicaMarks()
  for (const each of replicas) marks.add(each)
  return marks
}

/** How far each wait is. */
const waiting = (marks: ReplicaMarks, ...lsns: readonly number[]) => {
  const told: string[] = []
  const waits = lsns.map((lsn) => {
    const { done, giveUp } = marks.reached(lsn)
    done.then(
      () => told.push(`${lsn}`),
      ({ code }) => told.push(`${lsn} ${code}`),
    )
    return giveUp
  })
  return { told, waits }
}
const settled = () => new Promise((resolve) => setImmediate(resolve))

test('without a required replica the log may be given back, and the first that has it counts', () => {
  expect([marksOf().isFollowed, marksOf().floor, marksOf().lsn]).toEqual([false, Infinity, 0])
  const marks = marksOf(replica(false, 4), replica(false, 9))
  expect([marks.isFollowed, marks.floor, marks.lsn]).toEqual([true, Infinity, 9])
})

test('every required replica counts', () => {
  const marks = marksOf(replica(true, 7), replica(true, 4), replica(false, 2))
  expect([marks.floor, marks.lsn]).toEqual([4, 4])
})

test('a group that was applied is told to each replica, and its bytes are counted', () => {
  const replicas = [replica(true, 0), replica(false, 0)]
  const marks = marksOf(...replicas)
  marks.grew(30)
  marks.grew(12)
  expect([marks.loggedBytes, ...replicas.map(({ calls }) => calls)]).toEqual([42, 2, 2])
})

test('a wait ends when the replicas have come so far, and not before', async () => {
  const slow = replica(true, 4)
  const marks = marksOf(slow)
  const { told } = waiting(marks, 4, 5, 6, 7)
  await settled()
  expect(told).toEqual(['4'])
  for (const lsn of [4, 6]) {
    slow.lsn = lsn
    marks.advanced()
  }
  await settled()
  expect(told).toEqual(['4', '5', '6'])
  slow.lsn = 7
  marks.advanced()
  await settled()
  expect(told).toEqual(['4', '5', '6', '7'])
})

test('a wait that is given up ends with its error, alone', async () => {
  const slow = replica(true, 0)
  const marks = marksOf(slow)
  const { told, waits } = waiting(marks, 1, 2)
  waits[0]?.(new KeelsonError('TIMEOUT', 'too late'))
  await settled()
  expect(told).toEqual(['1 TIMEOUT'])
  slow.lsn = 2
  marks.advanced()
  await settled()
  expect(told).toEqual(['1 TIMEOUT', '2'])
})

test('what waits when the instance closes is told', async () => {
  const marks = marksOf(replica(true, 0))
  const { told } = waiting(marks, 1, 2)
  marks.close()
  await settled()
  expect(told).toEqual(['1 CLOSED', '2 CLOSED'])
})
