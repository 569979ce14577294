/** The page as the build makes it, in the folder of the package. */
import { readFileSync } from 'node:fs'
import type { Page } from './page-server.ts'

/** Reads the page and its policy. */
export const builtPage = (): Page => {
  const folder = new URL('dist/observe/', import.meta.resolve('keelson/package.json'))
  const read = (file: string): string => readFileSync(new URL(file, folder), 'utf8')
  const { policy } = JSON.parse(read('page.json')) as { readonly policy: string }
  return { html: read('page.html'), policy }
}
