/** The live processes of a System, and the ties between processes. */
import { expect, test } from 'vitest'
import { type Listed, ProcessList } from '../../../src/runtime/process/process-list.ts'
import { notifyTies, type Tied, Ties } from '../../../src/runtime/process/ties.ts'
import { Monitor } from '../../../src/runtime/words/monitor.ts'

type Member = Listed<Member> & { readonly name: string }
const member = (name: string): Member => ({ name, before: undefined, after: undefined })

test.each([
  ['the first', 0],
  ['one between', 1],
  ['the last', 2],
])('a list without %s has the others in order, and takes more', (_, gone) => {
  const members = ['a', 'b', 'c'].map(member) as [Member, Member, Member]
  const list = new ProcessList<Member>()
  for (const each of members) list.add(each)
  const removed = members[gone] as Member
  list.remove(removed)
  // A dead process must not hold a live one.
  expect([removed.before, removed.after]).toEqual([undefined, undefined])
  list.add(member('d'))
  const left = ['a', 'b', 'c'].filter((name) => name !== removed.name)
  expect(list.all().map(({ name }) => name)).toEqual([...left, 'd'])
})

test('a list of one is empty without it, and can be filled again', () => {
  const list = new ProcessList<Member>()
  const only = member('a')
  expect(list.all()).toEqual([])
  list.add(only)
  list.remove(only)
  expect(list.all()).toEqual([])
  list.add(only)
  expect(list.all()).toEqual([only])
})

test('a tie counts once, with one and with many', () => {
  for (const names of [['a'], ['a', 'b'], ['a', 'b', 'c']]) {
    const { links } = new Ties<never>()
    for (const name of [...names, ...names]) links.add(name as never)
    expect([...links.all]).toEqual(names)
    expect([links.delete('other' as never), links.delete('a' as never)]).toEqual([false, true])
    expect([links.delete('a' as never), [...links.all]]).toEqual([false, names.slice(1)])
  }
})

class Tester implements Tied<Tester> {
  readonly ties = new Ties<Tester>()
  readonly pid: number
  readonly #name: string
  readonly #told: string[]

  constructor(name: string, told: string[]) {
    this.pid = name.charCodeAt(0)
    this.#name = name
    this.#told = told
  }

  deliver(): void {
    this.#told.push(`${this.#name} gets a message`)
  }

  signal(_: Tester, reason: unknown, byLink: boolean): void {
    this.#told.push(`${this.#name} ${String(reason)} ${byLink}`)
  }
}

test('an end is told to links before monitors, and cuts every tie', () => {
  const told: string[] = []
  const [ended, linked, watching, watched] = ['e', 'l', 'w', 'v'].map(
    (name) => new Tester(name, told),
  ) as [Tester, Tester, Tester, Tester]
  ended.ties.links.add(linked)
  linked.ties.links.add(ended)
  const onEnd = (reason: unknown) => void told.push(`down ${String(reason)}`)
  const held = new Monitor<Tester>(watching, undefined as never, onEnd)
  ended.ties.watchers.add(held)
  watching.ties.watching.add(held)
  const own = new Monitor<Tester>(ended, undefined as never, onEnd)
  own.target = watched
  ended.ties.watching.add(own)
  watched.ties.watchers.add(own)

  notifyTies(ended, 'oops')

  expect(told).toEqual(['l oops true', 'down oops', 'w gets a message'])
  expect(
    [linked.ties.links, watching.ties.watching, watched.ties.watchers].map(({ all }) => all.size),
  ).toEqual([0, 0, 0])
})

test.each([
  ['of two the later first', 'ab', 'ba'],
  ['of two the later first, whichever is older', 'ba', 'ab'],
  ['of three the middle one last', 'acb', 'acb'],
  ['of three the middle one last, however they were linked', 'cba', 'acb'],
  ['of more, those below before those above', 'gewd', 'dewg'],
  ['of very many, in the order of their links', 'hgfedcba', 'hgfedcba'],
])('an end is told to links in the order of OTP: %s', (_, links, order) => {
  const told: string[] = []
  const ended = new Tester('z', told)
  for (const name of links) ended.ties.links.add(new Tester(name, told))
  notifyTies(ended, 'x')
  expect(told.map(([name]) => name).join('')).toBe(order)
})

test.each([
  ['the lowest', 'cab', 'a', 'cb'],
  ['the highest', 'cab', 'c', 'ab'],
  ['the middle one', 'cab', 'b', 'ac'],
])(
  "of three links without %s, the one on top of OTP's tree comes last",
  (_, links, gone, order) => {
    const told: string[] = []
    const ended = new Tester('z', told)
    const others = [...links].map((name) => new Tester(name, told))
    for (const other of others) ended.ties.links.add(other)
    for (const other of others) if (other.pid === gone.charCodeAt(0)) ended.ties.links.delete(other)
    notifyTies(ended, 'x')
    expect(told.map(([name]) => name).join('')).toBe(order)
  },
)
