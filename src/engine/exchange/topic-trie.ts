/**
 * One trie for topic patterns: AMQP binding keys ('.', '*', '#') and MQTT filters ('/', '+', '#').
 *
 * A pattern is a path of words; each node holds the values whose pattern ends there. Matching is
 * the simulation of a nondeterministic automaton, level by level: the set of nodes that are alive
 * after k words of the name gives the set after k + 1.
 *
 *     node --word--> child            consumes that word
 *     node --any---> child ('*')      consumes any one word
 *     node --------> child ('#')      consumes nothing
 *     '#'  --any---> itself           consumes any one word
 *
 * 1. A node has one parent, so within a level it can come alive twice only when it is a '#' node
 *    (from its parent and from itself); a stamp keeps the second out. So a level costs at most one
 *    visit per node of the trie, and a match at most words x nodes, whatever the patterns. Depth-
 *    first search, which most brokers use, is exponential in the number of '#'.
 * 2. Consecutive '#' are one '#': they match the same names.
 * 3. Empty words count: 'a..b' has three words, 'a.' has two. The empty text has none, as in
 *    RabbitMQ: '#' matches it and '*' does not. (In MQTT it is not a topic.)
 * 4. Nodes without values and children are removed at once.
 *
 * Rejected: a table of compiled regexes (linear in the number of patterns).
 */
import { ownText } from '../../base/own-text.ts';
import { CountedList } from './counted-list.ts';

/** How a protocol writes its patterns. All three are single characters. */
export interface TopicSyntax {
  readonly separator: string;
  /** Matches exactly one word. */
  readonly oneWord: string;
  /** Matches any number of words, none included. */
  readonly anyWords: string;
}

export const AMQP_SYNTAX: TopicSyntax = { separator: '.', oneWord: '*', anyWords: '#' };
export const MQTT_SYNTAX: TopicSyntax = { separator: '/', oneWord: '+', anyWords: '#' };

class TrieNode<V> {
  readonly parent: TrieNode<V> | undefined;
  /** Word that leads here from the parent. */
  readonly word: string;
  readonly isAnyWords: boolean;
  /** The child by a word while there is one only, as in most nodes: a map costs 200 bytes. */
  child: TrieNode<V> | undefined = undefined;
  /** The children by word once there are more. */
  children: Map<string, TrieNode<V>> | undefined = undefined;
  one: TrieNode<V> | undefined = undefined;
  any: TrieNode<V> | undefined = undefined;
  values: CountedList<V> | undefined = undefined;
  /** Number of the last level at which a match saw this node. */
  stamp = 0;

  constructor(parent: TrieNode<V> | undefined, word: string, isAnyWords: boolean) {
    this.parent = parent;
    this.word = word;
    this.isAnyWords = isAnyWords;
  }

  get isEmpty(): boolean {
    return (
      this.values === undefined &&
      this.child === undefined &&
      this.children === undefined &&
      this.one === undefined &&
      this.any === undefined
    );
  }

  /** The child that `word` leads to. */
  below(word: string): TrieNode<V> | undefined {
    const { child } = this;
    if (child !== undefined) return child.word === word ? child : undefined;
    return this.children?.get(word);
  }

  /** The same, made when it is missing. */
  grow(word: string): TrieNode<V> {
    const known = this.below(word);
    if (known !== undefined) return known;
    // A node may outlive the pattern, of up to 64 KiB, that was the first to come by.
    const own = ownText(word);
    const made = new TrieNode<V>(this, own, false);
    if (this.children !== undefined) {
      this.children.set(own, made);
    } else if (this.child === undefined) {
      this.child = made;
    } else {
      this.children = new Map([
        [this.child.word, this.child],
        [own, made],
      ]);
      this.child = undefined;
    }
    return made;
  }

  /** Takes a child by a word away. */
  prune(child: TrieNode<V>): void {
    if (this.child === child) this.child = undefined;
    this.children?.delete(child.word);
    if (this.children?.size === 0) this.children = undefined;
  }
}

export class TopicTrie<V> {
  readonly #syntax: TopicSyntax;
  readonly #root = new TrieNode<V>(undefined, '', false);
  /** Nodes alive at this level and at the next; reused by every match. */
  #alive: TrieNode<V>[] = [];
  #next: TrieNode<V>[] = [];
  #stamp = 0;

  constructor(syntax: TopicSyntax) {
    this.#syntax = syntax;
  }

  /** Adds a value; the same value may be added to one pattern several times. */
  add(pattern: string, value: V): void {
    const { oneWord, anyWords } = this.#syntax;
    let node = this.#root;
    for (const word of this.#wordsOf(pattern)) {
      if (word === anyWords) {
        if (!node.isAnyWords) node = node.any ??= new TrieNode<V>(node, word, true);
      } else if (word === oneWord) {
        node = node.one ??= new TrieNode<V>(node, word, false);
      } else {
        node = node.grow(word);
      }
    }
    (node.values ??= new CountedList()).add(value);
  }

  /** Takes one occurrence of a value away; returns false when it was not there. */
  remove(pattern: string, value: V): boolean {
    let node = this.#find(pattern);
    if (node?.values === undefined || !node.values.remove(value)) return false;
    if (node.values.items.length === 0) node.values = undefined;
    while (node !== undefined && node.parent !== undefined && node.isEmpty) {
      this.#detach(node, node.parent);
      node = node.parent;
    }
    return true;
  }

  /** Appends every value whose pattern matches `name`; a value of several patterns comes often. */
  match(name: string, out: V[]): void {
    const separator = this.#syntax.separator;
    this.#alive.length = 0;
    this.#stamp++;
    this.#wake(this.#root, this.#alive);
    let start = name === '' ? -1 : 0;
    while (start >= 0 && this.#alive.length > 0) {
      const end = name.indexOf(separator, start);
      this.#consume(end < 0 ? name.slice(start) : name.slice(start, end));
      start = end < 0 ? -1 : end + 1;
    }
    const alive = this.#alive;
    for (let i = 0; i < alive.length; i++) {
      const items = (alive[i] as TrieNode<V>).values?.items;
      if (items === undefined) continue;
      for (let j = 0; j < items.length; j++) out.push(items[j] as V);
    }
    alive.length = 0;
  }

  /** Replaces the alive set by the one after `word`. */
  #consume(word: string): void {
    const alive = this.#alive;
    const next = this.#next;
    next.length = 0;
    this.#stamp++;
    for (let i = 0; i < alive.length; i++) {
      const node = alive[i] as TrieNode<V>;
      const child = node.below(word);
      if (child !== undefined) this.#wake(child, next);
      if (node.one !== undefined) this.#wake(node.one, next);
      if (node.isAnyWords) this.#wake(node, next);
    }
    this.#alive = next;
    this.#next = alive;
  }

  /** Adds a node and its '#' child, which needs no word, to a level. */
  #wake(node: TrieNode<V>, level: TrieNode<V>[]): void {
    if (node.stamp === this.#stamp) return;
    node.stamp = this.#stamp;
    level.push(node);
    if (node.any !== undefined) this.#wake(node.any, level);
  }

  #wordsOf(pattern: string): string[] {
    return pattern === '' ? [] : pattern.split(this.#syntax.separator);
  }

  #find(pattern: string): TrieNode<V> | undefined {
    const { oneWord, anyWords } = this.#syntax;
    let node: TrieNode<V> | undefined = this.#root;
    for (const word of this.#wordsOf(pattern)) {
      if (node === undefined) return undefined;
      if (word === anyWords) {
        if (!node.isAnyWords) node = node.any;
      } else {
        node = word === oneWord ? node.one : node.below(word);
      }
    }
    return node;
  }

  #detach(node: TrieNode<V>, parent: TrieNode<V>): void {
    if (parent.any === node) {
      parent.any = undefined;
    } else if (parent.one === node) {
      parent.one = undefined;
    } else {
      parent.prune(node);
    }
  }
}
