import type { ComponentChildren } from 'preact';
import { useEffect, useRef, useState } from 'preact/hooks';
import type { Mood } from '../words/standing.js';
import { Sign } from './signs.js';

/** A part of a page, with its heading and its own address for assistive technology. */
export function Section(props: {
  id: string;
  title: string;
  note?: ComponentChildren;
  children: ComponentChildren;
}) {
  const { id, title, note, children } = props;
  return (
    <section class="section" aria-labelledby={id}>
      <div class="section-head">
        <h2 id={id}>{title}</h2>
        {note !== undefined && <p class="note">{note}</p>}
      </div>
      {children}
    </section>
  );
}

/** One of several things side by side. */
export function Card({ title, children }: { title: string; children: ComponentChildren }) {
  return (
    <div class="card">
      <h3>{title}</h3>
      {children}
    </div>
  );
}

/** What is wider than the page scrolls within itself; where it does, it can be focused and scrolled with the keyboard. */
export function ScrollBox(props: { class: string; label: string; children: ComponentChildren }) {
  const box = useRef<HTMLElement>(null);
  const [scrolls, setScrolls] = useState(false);
  useEffect(() => {
    const element = box.current!;
    const observer = new ResizeObserver(() =>
      setScrolls(element.scrollWidth > element.clientWidth || element.scrollHeight > element.clientHeight),
    );
    observer.observe(element);
    return () => observer.disconnect();
  }, []);
  return (
    <section
      ref={box}
      class={`table ${props.class}`}
      aria-label={props.label}
      {...(scrolls && { tabIndex: 0 })}
    >
      {props.children}
    </section>
  );
}

/** A table in a box of its own. */
export function Table(props: {
  caption: string;
  head: readonly ComponentChildren[];
  children: ComponentChildren;
  class?: string;
}) {
  return (
    <ScrollBox class={props.class ?? ''} label={props.caption}>
      <table>
        <caption class="hidden">{props.caption}</caption>
        <thead>
          <tr>
            {props.head.map((cell, column) => (
              <th key={column} scope="col">
                {cell}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>{props.children}</tbody>
      </table>
    </ScrollBox>
  );
}

/** Something that a reader must know, with what to do about it. */
export function Notice({
  mood,
  title,
  children,
}: {
  mood: Mood;
  title: string;
  children: ComponentChildren;
}) {
  return (
    <div class={`notice ${mood}`}>
      <Sign mood={mood} />
      <div>
        <strong>{title}</strong>
        <div>{children}</div>
      </div>
    </div>
  );
}

/** What stands where nothing is to be shown. */
export function Empty({ children }: { children: ComponentChildren }) {
  return <p class="empty">{children}</p>;
}
