/** Reads docs/README.md, the list of all pages, for the sidebar of the site and for `llms.txt`. Pure. */
import { posix } from 'node:path'

/** Its sections. The path of a link is that from the root of the repository. */
export const sectionsOf = (text) =>
  text
    .split(/^## /m)
    .slice(1)
    .map((section) => ({
      title: section.slice(0, section.indexOf('\n')),
      links: [...section.matchAll(/^- \[([^\]]+)\]\(([^)]+)\)(?:: ((?:.|\n {2})+))?/gm)].map(
        ([, title, path, about]) => ({
          text: title.replaceAll('`', ''),
          path: posix.join('docs', path),
          about: about?.replaceAll(/\s+/g, ' '),
        }),
      ),
    }))

/** The list in the form of https://llmstxt.org. Its links are those of a site at the root of its host. */
export const listForPrograms = (text) =>
  [
    '# Keelson\n',
    '> Durable actors, workflows, queues and a store in one npm package for Node.js, without a server. What was acknowledged survives `kill -9`.',
    ...sectionsOf(text).flatMap(({ title, links }) => [
      `\n## ${title}\n`,
      ...links.map(({ text, path, about }) => `- [${text}](/${path})${about ? `: ${about}` : ''}`),
    ]),
  ].join('\n')
