// A member that is linked to others over sockets in a folder, and has a desk that answers them.
// linked-member.mjs MEMBER DIR OTHER,…
import { writeSync } from 'node:fs'
import { createSystem, name, noReply, reply, startSupervisor } from '../../../dist/index.js'
import { Members } from '../../../dist/members/links/members.js'
import { unixTransport } from '../../../dist/members/links/unix-transport.js'

const [member, dir, others] = process.argv.slice(2)
const report = (line) => void writeSync(3, `${line}\n`)

const desk = {
  init: () => ({ notes: 0 }),
  calls: {
    echo: (state, payload) => reply(payload, state),
    never: (state) => noReply(state),
    notes: (state) => reply(state.notes, state),
    memory: (state) => reply(process.memoryUsage().rss, state),
  },
  casts: { note: ({ notes }) => noReply({ notes: notes + 1 }) },
}

const line = (text) => report(`log ${text}`)
const system = createSystem({ logger: { error: line, warn: line, info: line } })
const members = new Members({
  ...{
    system,

    cluster: 'shop',
    member,
    incarnation: `${member}-${process.pid}`,
  },
  transport: unixTransport(dir, member),
})
for (const other of others.split(',')) members.expect(other)
await startSupervisor(system, members.childSpec())
await system.start(desk, undefined, { name: name('desk') })
report('started')
// Nothing of a link holds the process.
process.stdin.resume()
