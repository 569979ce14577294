/** Work that ends its process, of members of an engine: those that begin again say so, and nobody begins it a third time. */
import { expect, test } from 'vitest'
import { call, type DurableServer, entity, reply, supervisor } from '../../../src/index.ts'
import type { App } from '../../../src/supervisors/index.ts'
import { SpreadMembers } from '../../support/worlds/spread-members.ts'
import { leaseMs } from '../../support/worlds/spread-world.ts'

type Messages = {
  calls: { arm: (how: 'alarm' | 'step') => string; look: () => string }
  continues: { boom: () => void }
  alarms: { boom: () => void }
}

/** Members a, b and c, and what a bomb that they have ends. */
const threeWithBombs = async () => {
  const world = new SpreadMembers(['a', 'b', 'c'])
  const ended: string[] = []
  const bombOf = (member: string): DurableServer<Messages, string> => {
    const boom = () => {
      world.kill(member)
      ended.push(member)
      // As a service manager begins it again.
      world.clock.after(100, () => void begin(member))
      throw new Error('the process has ended')
    }
    return {
      init: () => 'whole',
      calls: {
        arm: (state, how, context) => {
          if (how === 'alarm') context.setAlarm('boom', { inMs: 0 })
          return how === 'alarm'
            ? reply('armed', state)
            : reply('armed', state, { continue: ['boom'] })
        },
        look: (state) => reply(state, state),
      },
      continues: { boom },
      alarms: { boom },
    }
  }
  const given = (member: string) => ({
    app: supervisor('app', {}, [entity('bomb', bombOf(member))]),
  })
  const apps = new Map<string, App>()
  const begin = async (member: string): Promise<void> => {
    apps.set(member, await world.begin(member, given(member)))
  }
  await world.during(Promise.all(['a', 'b', 'c'].map(begin)))
  await world.clock.advance(6_000)
  return { world, ended, apps }
}

test.each(['alarm', 'step'] as const)(
  'two members end under a poisonous %s, and it is parked and named at the next one',
  async (how) => {
    const { world, ended, apps } = await threeWithBombs()
    const bomb = (apps.get('a') as App).entity<Messages>('bomb').ref('7')
    const armed = call(bomb, 'arm', how, { timeoutMs: 20_000, id: 'r' })
    armed.catch(() => undefined)
    await world.clock.advance(10 * leaseMs)
    expect(ended).toHaveLength(2)
    const [[, reader]] = [...apps] as [[string, App]]
    const parked = [...apps.values()].flatMap((app) => [...app.entity('bomb').blocked()])
    expect(JSON.stringify(parked)).toContain('2 processes have ended while bomb/7 began')
    const look = call(reader.entity<Messages>('bomb').ref('7'), 'look', undefined)
    expect(await world.during(look)).toBe('whole')
  },
)
