/** The site: the pages of the repository as they are, and a page for each exported name. */
import { readdirSync, readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { defineConfig } from 'vitepress'

const root = fileURLToPath(new URL('../../../', import.meta.url))

/** The links of "Read on" in README.md, by its items: the site has the order of that list. */
const readOn = () => {
  const [, list = ''] = readFileSync(`${root}README.md`, 'utf8').split('\n## Read on\n')
  const [numbered = '', reference = ''] = list.split('\nFor reference: ')
  const items = numbered.split(/\n\d+\. /).slice(1)
  return [...items, reference].map((item, at) => {
    const links = [...item.matchAll(/\[([^\]]+)\]\(([^)#]+)[^)]*\)/g)].map(([, text, path]) => ({
      text: titled(text.replaceAll(/\s+/g, ' ')),
      link: `/${path.replace(/\.md$/, '')}`,
    }))
    return {
      text: at < items.length ? links[0].text : 'Reference',
      collapsed: at > 2,
      items: links,
    }
  })
}

/** The anchor of a heading, as the repository's pages have it. */
const githubs = (text) =>
  text
    .trim()
    .toLowerCase()
    .replace(/[^\p{L}\p{N}\s_-]/gu, '')
    .replaceAll(/\s/g, '-')

const titled = (text) => text[0].toUpperCase() + text.slice(1)

/** The pages of one kind of exported thing, as TypeDoc has named the folders. */
const pagesOfApi = () =>
  readdirSync(`${root}scripts/site/pages/api`, { withFileTypes: true })
    .filter((entry) => entry.isDirectory())
    .map(({ name }) => ({ text: name, link: `/api/${name}/` }))

export default defineConfig({
  title: 'Keelson',
  description: 'OTP for Node.js with a durable storage tree inside',
  // Browsers ask for an icon where a page names none.
  head: [['link', { rel: 'icon', href: 'data:,' }]],
  srcDir: 'pages',
  outDir: `${root}.tmp/site`,
  cacheDir: `${root}.tmp/site-cache`,
  // The commands print addresses of a reader's own machine.
  ignoreDeadLinks: [/^https?:\/\/(?:localhost|127\.0\.0\.1)/],
  markdown: { html: false, languageAlias: { mjs: 'js' }, anchor: { slugify: githubs } },
  vite: { build: { chunkSizeWarningLimit: 4_096 } },
  themeConfig: {
    nav: [
      { text: 'Getting started', link: '/docs/getting-started' },
      { text: 'API', link: '/api/' },
      { text: 'Changes', link: '/CHANGELOG' },
    ],
    sidebar: { '/api/': pagesOfApi(), '/': readOn() },
    outline: [2, 3],
    search: { provider: 'local' },
  },
})
