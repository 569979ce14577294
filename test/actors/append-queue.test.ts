import { describe, expect, test } from 'vitest'
import { AppendQueue, joined } from '../../src/actors/append-queue.ts'
import { ticketFor, withdraw } from '../../src/actors/ticket.ts'

const MiB = 1024 * 1024

const queueOf = (...sizes: number[]) => {
  const queue = new AppendQueue<number>()
  const tickets = sizes.map((size) => ticketFor(new Uint8Array(size)))
  tickets.forEach((ticket, from) => {
    queue.push({ ticket, from })
  })
  return { queue, tickets }
}

const fromsOf = (group: readonly { readonly from: number }[]) => group.map(({ from }) => from)

describe('a queue of appends', () => {
  test('gives everything that waits as one group, in order, and marks it submitted', () => {
    const { queue, tickets } = queueOf(1, 2, 3)

    expect(fromsOf(queue.takeGroup())).toEqual([0, 1, 2])
    expect(tickets.map(({ state }) => state)).toEqual(['submitted', 'submitted', 'submitted'])
    expect([queue.length, queue.takeGroup()]).toEqual([0, []])
  })

  test('cuts a group at its bound, and lets a frame beyond it go alone', () => {
    const { queue } = queueOf(3 * MiB, 2 * MiB, 9 * MiB, 1)

    expect(fromsOf(queue.takeGroup())).toEqual([0])
    expect(fromsOf(queue.takeGroup())).toEqual([1])
    expect(fromsOf(queue.takeGroup())).toEqual([2])
    expect(fromsOf(queue.takeGroup())).toEqual([3])
  })

  test('passes over what was withdrawn, and never submits it', () => {
    const { queue, tickets } = queueOf(1, 1, 1)
    for (const ticket of tickets.slice(0, 2)) withdraw(ticket)

    expect(fromsOf(queue.takeGroup())).toEqual([2])
    expect(tickets.map(({ state }) => state)).toEqual(['withdrawn', 'withdrawn', 'submitted'])
  })

  test('does not grow with withdrawn tickets that nobody takes', () => {
    const { queue } = queueOf(1)
    for (let at = 0; at < 100_000; at++) {
      const ticket = ticketFor(new Uint8Array(1))
      queue.push({ ticket, from: at })
      withdraw(ticket)
    }

    expect(queue.length).toBeLessThan(2_000)
    expect(fromsOf(queue.takeGroup())).toEqual([0])
  })

  test('joins frames in memory of their own', () => {
    const frames = [Uint8Array.of(1, 2), Uint8Array.of(3)]
    const group = frames.map((frame, from) => ({ ticket: ticketFor(frame), from }))

    const { bytes, lengths } = joined(group)

    expect([...bytes, ...lengths]).toEqual([1, 2, 3, 2, 1])
    expect(bytes.buffer.byteLength).toBe(3)
  })
})
