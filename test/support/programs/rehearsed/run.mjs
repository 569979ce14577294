// Runs programs as one-after-another.mjs does. Each instance that they close is judged by its own tree before, and what is found
// is a line `judged` of JSON.
import { register } from 'node:module'

const here = (name) => JSON.stringify(new URL(`${name}.mjs`, import.meta.url).href)
const hooks = `
  const ours = { keelson: ${here('keelson')}, 'keelson/testing': ${here('testing')} }
  export const resolve = (name, context, next) =>
    Object.hasOwn(ours, name) ? { url: ours[name], shortCircuit: true } : next(name, context)`
register(`data:text/javascript,${encodeURIComponent(hooks)}`)
await import('../one-after-another.mjs')
