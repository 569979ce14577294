/** Data folders and builds for the rehearsals of `test/inspect/rehearsal`, and the command on them (needs the build). */
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { start } from 'keelson'
import { folderMadeOnce } from '../temp-folder.ts'
import { commandHere } from './command-here.ts'

const packageOf = (name: string): string =>
  JSON.stringify(new URL(`../../../dist/${name}.js`, import.meta.url).href)

/** A configuration whose workflow has this body, as a module of JavaScript. */
export const configOf = (body: string, { top = '', parts = '' } = {}): string => `
import { defineConfig, entity, supervisor } from ${packageOf('index')}
import { flows, workflow } from ${packageOf('flow/index')}
${top}
export const order = workflow('order', async (ctx) => { ${body} })
export default defineConfig({
  dir: './data',
  app: supervisor('app', {}, [flows({ workflows: [order] }), ${parts}]),
})
`

/** The body of the build that wrote the data. */
export const original = "await ctx.step('reserve', () => 1); await ctx.waitFor('approval')"
/** A body whose step has another name: its runs would stop. */
export const renamed = "await ctx.step('book', () => 1); await ctx.waitFor('approval')"

/**
 * Makes a data folder with three runs that rest, and the configuration of their build, once for all tests around the call;
 * each call of the answer copies them.
 */
export const folderOfRuns = () =>
  folderMadeOnce(async (dir) => {
    writeFileSync(join(dir, 'old.mjs'), configOf(original))
    const { flow } = await import('keelson/flow')
    const { default: config, order } = await import(join(dir, 'old.mjs'))
    const app = await start({ ...config, dir: join(dir, 'data') })
    const changes = flow(app).watch({ type: order })
    for (const id of ['a', 'b', 'c']) await flow(app).start(order, undefined, { id })
    const resting = new Set<string>()
    for await (const { id, row } of changes) {
      if (row?.status === 'waiting') resting.add(id)
      if (resting.size === 3) break
    }
    await app.close()
  })

/** Writes the configuration of a new build beside the data. */
export const written = (dir: string, config: string): string => {
  writeFileSync(join(dir, 'new.mjs'), config)
  return dir
}

/** `keelson rehearse` of the data with the new build, in this process. */
export const rehearsed = async (dir: string, ...words: string[]) =>
  commandHere(['rehearse', 'data', '--with', 'new.mjs', ...words], dir)

/** A configuration with a kind whose turns are recorded. */
export const counting = (factor: string): string => `
import { defineConfig, entity, supervisor, reply } from ${packageOf('index')}
export const counter = entity('counter', {
  init: () => 0,
  calls: { add: (count, by) => reply(count, count + ${factor}) },
}, { record: { inputs: true } })
export default defineConfig({ dir: './data', app: supervisor('app', {}, [counter]) })
`
