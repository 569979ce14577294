/** `keelson dev` starts a service again when a file of it changes, and keeps the data. */
import { mkdirSync, readFileSync, realpathSync, renameSync, symlinkSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { describe, expect, test } from 'vitest'
import { commandHere } from '../../support/commands/command-here.ts'
import { write } from '../../support/commands/command-project.ts'
import { runKeelson, startKeelson } from '../../support/commands/keelson-command.ts'
import { tempFolder } from '../../support/temp-folder.ts'

/** A service in TypeScript, under `keelson dev`. */
const developed = async () => {
  const dir = realpathSync(tempFolder())
  await commandHere(['init', '.', '--ts'], dir)
  mkdirSync(join(dir, 'node_modules'))
  symlinkSync(resolve('.'), join(dir, 'node_modules/keelson'))
  const service = startKeelson(['dev'], dir, {}, 'ignore')
  await service.says('ready: ')
  return {
    dir,
    service,
    /** Writes a file in one step, as editors do. */
    change: (name: string, ...changes: readonly (readonly [from: string, to: string])[]) => {
      let text = readFileSync(join(dir, name), 'utf8')
      for (const [from, to] of changes) {
        expect(text).toContain(from)
        text = text.replace(from, to)
      }
      write(dir, '.written', text)
      renameSync(join(dir, '.written'), join(dir, name))
    },
    left: async () =>
      (await runKeelson(['attach'], dir, "call(app.entity('stock').ref('tea'), 'left')\n")).output,
  }
}

describe('keelson dev (needs the build)', () => {
  test('runs a changed entity, workflow and configuration on the same data, and says what is new', async () => {
    const { dir, service, change, left } = await developed()
    await runKeelson(['attach'], dir, "call(app.entity('stock').ref('tea'), 'add', 5)\n")

    change('stock.ts', ['left: (left) => reply(left, left)', 'left: (left) => reply(-left, left)'])
    await service.says(/changed: stock\.ts\n[\s\S]*ready: /)
    expect(await left()).toBe('-5\n')

    change('order.ts', ["'order'", "'sale'"])
    await service.says(/new: workflow sale\n.*gone: workflow order\n[\s\S]*ready: /)
    change('keelson.config.ts', ['import { order', 'import { order as sale'], ['[order]', '[sale]'])
    await service.says(/changed: keelson\.config\.ts\n[\s\S]*ready: /)
    expect(await left()).toBe('-5\n')

    service.process.kill('SIGINT')
    expect((await service.ended).status).toBe(0)
    expect((await commandHere(['doctor', 'data'], dir)).output).toMatch(/^shard 0 {2}clean/m)
  })

  test('waits for a change after a service that cannot start', async () => {
    const { service, change } = await developed()

    change('order.ts', ['export const order', 'export const order = = ='])
    await service.says('it waits for a change')
    change('order.ts', ['export const order = = =', 'export const order'])

    await service.says(/it waits for a change\n.* changed: order\.ts\n[\s\S]*ready: /)
    service.process.kill('SIGTERM')
    expect((await service.ended).status).toBe(0)
  })

  test('leaves no service when it is killed itself', async () => {
    const { dir, service } = await developed()

    service.process.kill('SIGKILL')

    // Its output is also that of the service, and ends with the last of them.
    await service.ended
    expect((await commandHere(['doctor', 'data'], dir)).output).toMatch(/^shard 0 {2}clean/m)
  })
})
