import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { Mailbox } from '../../../src/runtime/process/mailbox.ts'
import { Ring } from '../../../src/runtime/queues/ring.ts'
import { Envelope, kinds, type Message } from '../../../src/runtime/words/envelope.ts'

const message = (number: number): Message => new Envelope(kinds.info, 'counted', number)

/** A call, a message with a context, or one whose wait is measured: what must stay the same object. */
const whole = (number: number): Message => {
  const found: Message = message(number)
  if (number % 2 === 0) found.arrivedAt = number
  return Object.assign(found, number % 2 === 0 ? {} : { context: new Map() })
}

const mailboxOf = (...messages: readonly Message[]): Mailbox => {
  const mailbox = new Mailbox()
  for (const each of messages) mailbox.push(each)
  return mailbox
}

const countedTo = (end: number, from = 0): Message[] =>
  Array.from({ length: end - from }, (_, at) => message(from + at))

const drained = (mailbox: Mailbox): unknown[] => {
  const payloads: unknown[] = []
  for (let next = mailbox.shift(); next; next = mailbox.shift()) payloads.push(next.payload)
  return payloads
}

const payloads = (messages: readonly Message[]): unknown[] => messages.map(({ payload }) => payload)

const isOf = (number: number) => (found: Message) => found.payload === number

describe('a mailbox', () => {
  test('does what an array does at any depth, for any order of operations', () => {
    const operation = fc.oneof(
      { weight: 4, arbitrary: fc.tuple(fc.constant('push' as const), fc.integer({ max: 600 })) },
      { weight: 3, arbitrary: fc.tuple(fc.constant('shift' as const), fc.nat(400)) },
      fc.tuple(
        fc.constantFrom('unshift', 'remove', 'removeAll', 'at', 'prepend', 'clear'),
        fc.nat(900),
      ),
    )
    fc.assert(
      fc.property(fc.array(operation, { maxLength: 30 }), (operations) => {
        const mailbox = new Mailbox()
        let model: Message[] = []
        let sent = 0
        for (const [what, number] of operations) {
          if (what === 'push')
            for (let left = number; left > 0; left--) {
              const next = sent % 7 === 0 ? whole(sent) : message(sent)
              mailbox.push(next)
              model.push(next)
              sent++
            }
          else if (what === 'shift')
            for (let left = number; left > 0; left--) expect(mailbox.shift()).toEqual(model.shift())
          else if (what === 'unshift') {
            mailbox.unshift(message(-number))
            model.unshift(message(-number))
          } else if (what === 'remove') {
            const index = model.findIndex(isOf(number))
            const [expected] = index < 0 ? [] : model.splice(index, 1)
            expect(mailbox.remove(isOf(number))).toEqual(expected)
          } else if (what === 'removeAll') {
            const isThird = ({ payload }: Message): boolean => Number(payload) % 3 === 0
            mailbox.removeAll(isThird)
            model = model.filter((each) => !isThird(each))
          } else if (what === 'at') expect(mailbox.at(number)).toEqual(model[number])
          else if (what === 'prepend') {
            const aside = new Ring<Message>()
            for (const each of countedTo(number % 5)) aside.push(each)
            mailbox.prepend(aside)
            model.unshift(...countedTo(number % 5))
          } else {
            mailbox.clear()
            model = []
          }
          expect(mailbox.length).toBe(model.length)
          expect(mailbox.at(0)).toEqual(model[0])
        }
        expect(drained(mailbox)).toEqual(payloads(model))
      }),
      { numRuns: 60 },
    )
  })

  test('keeps its order through a flood that goes on while it drains', () => {
    const mailbox = mailboxOf(...countedTo(3_000))
    const got: unknown[] = []

    for (let sent = 3_000; sent < 6_000; sent++) {
      got.push(mailbox.shift()?.payload)
      mailbox.push(message(sent))
    }

    expect([...got, ...drained(mailbox)]).toEqual(payloads(countedTo(6_000)))
    expect(mailbox.length).toBe(0)
  })

  test('gives a message that carries more than its parts as the same object, however deep', () => {
    const carrying = [whole(1), whole(2)] as const
    const mailbox = mailboxOf(...countedTo(1_000), ...carrying)

    for (let left = 1_000; left > 0; left--) mailbox.shift()

    expect(mailbox.shift()).toBe(carrying[0])
    expect(mailbox.shift()).toBe(carrying[1])
  })

  test('has its messages in place after a look behind the ring, and takes more', () => {
    const mailbox = mailboxOf(...countedTo(1_000))

    expect(mailbox.at(999)?.payload).toBe(999)
    for (const each of countedTo(2_000, 1_000)) mailbox.push(each)

    expect(drained(mailbox)).toEqual(payloads(countedTo(2_000)))
  })
})
