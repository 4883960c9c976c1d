/**
 * Labelled form fields with help and validation text. In the browser.
 *
 * Always true: the label is the control's accessible name; help and fault are its description, tied by id, and a fault is
 * announced when it appears; `aria-invalid` says that there is one. A fault stands under its field, never only in a colour.
 */
import type { ComponentChildren } from 'preact';
import { useId } from 'preact/hooks';

interface FieldProps {
  readonly label: string;
  readonly help?: ComponentChildren;
  /** What is wrong with the value; empty or undefined when nothing is. */
  readonly fault?: string | undefined;
}

interface ControlProps {
  readonly id: string;
  readonly 'aria-describedby': string;
  readonly 'aria-invalid': boolean;
}

type InputType = 'text' | 'password' | 'search' | 'number' | 'url';

/** The types of Preact tell inputs apart by the roles that they may take; none is given here. */
function inputType(type: InputType = 'text'): 'text' {
  return type as 'text';
}

/** A label, any control (`children` is given the attributes that tie it), help and fault. */
export function Field(props: FieldProps & { children: (control: ControlProps) => ComponentChildren }) {
  const id = useId();
  const fault = props.fault ?? '';
  return (
    <div class="field">
      <label for={id}>{props.label}</label>
      {props.children({
        id,
        'aria-describedby': `${id}-help ${id}-fault`,
        'aria-invalid': fault !== '',
      })}
      <div class="help" id={`${id}-help`}>
        {props.help}
      </div>
      <div class="fault" id={`${id}-fault`} aria-live="polite">
        {fault}
      </div>
    </div>
  );
}

/** One line of text. */
export function TextField(
  props: FieldProps & {
    value: string;
    onInput: (value: string) => void;
    type?: InputType;
    isRequired?: boolean;
    isReadOnly?: boolean;
    autocomplete?: string;
    placeholder?: string;
    /** Code-like text: fixed width, no spelling check. */
    isCode?: boolean;
    hasFocus?: boolean;
    /** Values to choose from while typing; others are possible. */
    suggestions?: readonly string[];
    min?: number;
    max?: number;
  },
) {
  return (
    <Field label={props.label} help={props.help} fault={props.fault}>
      {(control) => (
        <>
          <input
            {...control}
            list={props.suggestions === undefined ? undefined : `${control.id}-list`}
            type={inputType(props.type)}
            value={props.value}
            required={props.isRequired ?? false}
            readOnly={props.isReadOnly ?? false}
            autocomplete={props.autocomplete ?? 'off'}
            placeholder={props.placeholder}
            spellcheck={false}
            autocapitalize="none"
            autofocus={props.hasFocus ?? false}
            min={props.min}
            max={props.max}
            class={props.isCode === true ? 'code' : undefined}
            onInput={(event) => props.onInput(event.currentTarget.value)}
          />
          {props.suggestions === undefined ? null : (
            <datalist id={`${control.id}-list`}>
              {props.suggestions.map((value) => (
                <option key={value} value={value} />
              ))}
            </datalist>
          )}
        </>
      )}
    </Field>
  );
}

/** Several lines of text. */
export function TextArea(
  props: FieldProps & {
    value: string;
    onInput: (value: string) => void;
    rows?: number;
    isCode?: boolean;
    isReadOnly?: boolean;
  },
) {
  return (
    <Field label={props.label} help={props.help} fault={props.fault}>
      {(control) => (
        <textarea
          {...control}
          rows={props.rows ?? 4}
          value={props.value}
          readOnly={props.isReadOnly ?? false}
          spellcheck={false}
          class={props.isCode === true ? 'code' : undefined}
          onInput={(event) => props.onInput(event.currentTarget.value)}
        />
      )}
    </Field>
  );
}

/** One of a few values. */
export function SelectField<V extends string>(
  props: FieldProps & {
    value: V;
    options: readonly { readonly value: V; readonly label: string }[];
    onChange: (value: V) => void;
    isDisabled?: boolean;
  },
) {
  return (
    <Field label={props.label} help={props.help} fault={props.fault}>
      {(control) => (
        <select
          {...control}
          value={props.value}
          disabled={props.isDisabled ?? false}
          onChange={(event) => props.onChange(event.currentTarget.value as V)}
        >
          {props.options.map((option) => (
            <option key={option.value} value={option.value}>
              {option.label}
            </option>
          ))}
        </select>
      )}
    </Field>
  );
}

/** Yes or no. */
export function CheckField(props: {
  label: string;
  help?: ComponentChildren;
  isChecked: boolean;
  onChange: (isChecked: boolean) => void;
  isDisabled?: boolean;
}) {
  const id = useId();
  return (
    <div class="field check">
      <input
        id={id}
        type="checkbox"
        checked={props.isChecked}
        disabled={props.isDisabled ?? false}
        aria-describedby={`${id}-help`}
        onChange={(event) => props.onChange(event.currentTarget.checked)}
      />
      <label for={id}>{props.label}</label>
      <div class="help" id={`${id}-help`}>
        {props.help}
      </div>
    </div>
  );
}

/** A search box with an invisible label; `onInput` is called with every key, debounce what it asks for. */
export function SearchBox(props: { label: string; value: string; onInput: (value: string) => void }) {
  return (
    <input
      class="search"
      type="search"
      aria-label={props.label}
      placeholder={props.label}
      value={props.value}
      spellcheck={false}
      autocapitalize="none"
      onInput={(event) => props.onInput(event.currentTarget.value)}
    />
  );
}
