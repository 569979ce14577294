/** One trace over HTTP, members and a `kill -9`, in real processes, each of which writes its spans to a file. */
import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterEach, expect, test } from 'vitest'
import { tempFolder } from '../../support/temp-folder.ts'

type Span = {
  readonly name: string
  readonly traceId: string
  readonly spanId: string
  readonly parent: string | undefined
  readonly member: string
  readonly pid: number
}
type Told = { readonly port?: number; readonly span?: Span }

const program = join(import.meta.dirname, '../../support/programs/traced-member.mjs')
const traceId = '4bf92f3577b34da6a3ce929d0e0e4736'
const spanId = '00f067aa0ba902b7'

const children = new Set<ChildProcess>()

const ends = async (child: ChildProcess): Promise<void> => {
  if (child.exitCode === null && child.signalCode === null) {
    const ended = once(child, 'exit')
    child.kill('SIGKILL')
    await ended
  }
  children.delete(child)
}

afterEach(async () => {
  await Promise.all([...children].map(ends))
})

test('an order over HTTP is one trace: entity, workflow, a kill between, and a queue at another process', async () => {
  const dir = tempFolder()
  const file = join(dir, 'spans.jsonl')
  const starts = (member: string): { child: ChildProcess; port: Promise<number> } => {
    const child = fork(program, [member, join(dir, 'data'), file], { silent: true })
    children.add(child)
    const port = new Promise<number>((resolve, reject) => {
      child.on('message', ({ port: own }: Told) => own && resolve(own))
      child.stderr?.on('data', (text) => reject(new Error(String(text))))
    })
    port.catch(() => undefined)
    return { child, port }
  }
  const ended = (child: ChildProcess, name: string): Promise<Span> =>
    new Promise((resolve) => {
      child.on('message', ({ span }: Told) => span?.name === name && resolve(span))
    })
  const [a, b] = [starts('a'), starts('b')]
  const [port] = await Promise.all([a.port, b.port])
  const packed = ended(b.child, 'step pack')
  const sentByA = ended(a.child, 'process mails')
  const answer = await fetch(`http://127.0.0.1:${port}/order`, {
    method: 'POST',
    headers: { traceparent: `00-${traceId}-${spanId}-01`, tracestate: 'shop=1' },
  })
  expect([answer.status, await answer.text()]).toEqual([200, expect.stringMatching(/^\d+$/)])
  await packed
  await ends(b.child)
  const again = starts('b')
  const sentByB = ended(again.child, 'process mails')
  const { pid } = await Promise.race([sentByA, sentByB])
  expect([a.child.pid, again.child.pid]).toContain(pid)

  const lines = readFileSync(file, 'utf8').trim().split('\n')
  const spans = lines.map((line) => JSON.parse(line) as Span)
  const named = (name: string): Span => {
    const found = spans.find((span) => span.name === name && span.traceId === traceId)
    return found ?? expect.unreachable(`no ${name} in ${spans.map((span) => span.name)}`)
  }
  expect(named('POST /order')).toMatchObject({ parent: spanId, pid: a.child.pid })
  expect(named('order call place').pid).toBe(b.child.pid)
  // The kill may take the span of the step of the order, which ends when it is durable.
  expect(named('$flow-delivery call start').pid).toBe(b.child.pid)
  expect(named('step pack').pid).toBe(b.child.pid)
  expect(named('step send').pid).not.toBe(b.child.pid)
  expect(named('process mails').pid).toBe(pid)
}, 40_000)
