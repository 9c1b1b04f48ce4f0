/** `noindex`, `nofollow`: what X-Robots-Tag and meta robots say about one page. */

export interface RobotsDirectives {
  readonly noindex: boolean
  readonly nofollow: boolean
}

/** A comma-separated list of directives, as in a meta tag's content. */
export function readDirectives(content: string): RobotsDirectives {
  const words = content.toLowerCase().split(/[\s,]+/)
  const none = words.includes('none')
  return { noindex: none || words.includes('noindex'), nofollow: none || words.includes('nofollow') }
}

/** Directives with a value of their own: what stands before their colon is no crawler's name. */
const WITH_VALUE = /^(unavailable_after|max-snippet|max-image-preview|max-video-preview)$/

/**
 * X-Robots-Tag: each line may begin with the name of the crawler that it is for (`otherbot: noindex`).
 * @param lines one entry a header line @param agent our product token in lower case
 */
export function readRobotsHeader(lines: readonly string[], agent: string): RobotsDirectives {
  const ours = lines.flatMap((line) => {
    const [, name, rest] = /^\s*([\w-]+)\s*:(.*)$/s.exec(line) ?? []
    if (name === undefined || WITH_VALUE.test(name.toLowerCase())) return [readDirectives(line)]
    return name.toLowerCase() === agent ? [readDirectives(rest!)] : []
  })
  return { noindex: ours.some((tag) => tag.noindex), nofollow: ours.some((tag) => tag.nofollow) }
}
