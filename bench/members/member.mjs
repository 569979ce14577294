/** A member for the bench, with a desk that answers. */
import { createSystem, name, reply, startSupervisor } from 'keelson'
import { Members } from '../../dist/members/links/members.js'
import { unixTransport } from '../../dist/members/links/unix-transport.js'

const desk = { init: () => null, calls: { add: (state, by) => reply(by + 1, state) } }

/** Starts it. */
export const startMember = async (member, dir) => {
  const line = () => undefined
  const system = createSystem({ logger: { error: console.error, warn: console.error, info: line } })
  const members = new Members({
    ...{ system, cluster: 'bench', member, incarnation: `${process.pid}` },
    transport: unixTransport(dir, member),
  })
  await startSupervisor(system, members.childSpec())
  await system.start(desk, undefined, { name: name('desk') })
  return { system, members }
}
