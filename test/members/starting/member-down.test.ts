/**
 * A shard that is down at the owner, and not lost: nobody takes over by itself, and a drain gives all shards to a standby. A late
 * claim takes none down.
 */
import { expect, test } from 'vitest'
import { KeelsonError } from '../../../src/errors.ts'
import { name } from '../../../src/index.ts'
import type { EngineGroup, EngineLog } from '../../../src/storage/index.ts'
import { clusterHere } from '../../support/commands/cluster-here.ts'
import { leaseMs, Members } from '../../support/worlds/members.ts'

test('a shard that is down keeps its owner, is in the status, and a drain gives everything to the standby', {
  tags: ['slow'],
}, async () => {
  const members = new Members()
  const lines: string[] = []
  const note = (text: string): void => void lines.push(text)
  const logger = { error: note, warn: note, info: note }
  const owner = await members.start('a', { shards: 2, logger })
  await members.during(owner.store.putMany(Array.from({ length: 20 }, (_, at) => [`k${at}`, at])))
  const standby = members.begin('b')
  let isTaken = false
  void standby.then(() => (isTaken = true))
  while (owner.shards[0]?.phase.kind !== 'down') {
    owner.system.kill(name('applier(0)'))
    await members.clock.advance(1)
  }

  await members.clock.advance(10 * leaseMs)

  expect(isTaken).toBe(false)
  expect(owner.health().cluster).toMatchObject({ phase: 'owner' })
  const told = '`keelson cluster drain a` lets one take over all shards'
  expect(lines.filter((line) => line.endsWith(told))).toEqual([
    `no standby takes over for shard 0: ${told}`,
  ])
  const { output: status } = await members.during(clusterHere(members, 'status'))
  expect(status).toContain('shard 0  down at a: keelson cluster drain a lets a standby take over')

  const { output } = await members.during(clusterHere(members, 'drain a'))
  expect(output).toBe('the member b owns c now; down at a: shard 0\n')
  expect(await members.during(owner.closed)).toBe('normal')
  const app = await members.during(standby)
  for (let at = 0; at < 20; at++) expect(app.store.get(`k${at}`)).toBe(at)
  expect((await members.during(clusterHere(members, 'status'))).output).not.toContain('down at')
})

test('an owner whose claim arrives late, when its next attempt has looked at the log already, goes on', async () => {
  const members = new Members()
  let [isSilent, late]: [boolean, EngineGroup | undefined] = [false, undefined]
  const open = async () => {
    const session = members.engine.connect('c')
    const logOf = session.log.bind(session)
    const log = (name: string): EngineLog => {
      const inner = logOf(name)
      const append: EngineLog['append'] = async (group, features) => {
        if (isSilent) {
          if (group.end.epoch > 1) late ??= group
          throw new KeelsonError('UNKNOWN_OUTCOME', 'no answer')
        }
        if (late) await inner.append(late)
        late = undefined
        await inner.append(group, features)
      }
      return { ...inner, append }
    }
    return Object.assign(session, { log })
  }
  const engine = { description: 'slow', open }
  const owner = await members.start('a', { cluster: { engine } as never })
  await members.during(owner.store.put('k', 'v'))
  isSilent = true
  const put = owner.store.put('k', 'unanswered').catch(() => undefined)
  while (!late) await members.clock.advance(100)
  // The claim has waited for longer than its host, and the next host has sent another one.
  await members.clock.advance(4 * leaseMs)
  isSilent = false
  await members.clock.advance(5 * leaseMs)

  await members.during(put)
  await members.during(owner.store.put('k', 'again'))
  expect(owner.store.get('k')).toBe('again')
  // The late claim has epoch 2.
  expect(members.engine.kept('c', '0').head.end.epoch).toBe(3)
})
