(** G along a straight line in (v, w, q, k, m): its second derivative and a bound on it.

    With a = q k y, δ = m − m̄, ε = m' − E m' and C_rs = E δ^r ε^s under the attention weights,

        m̄'  = E m' + a' C_20 + a C_11
        m̄'' = 4 a' C_11 + 2 a C_02 + a'' C_20 + a'² C_30 + 2 a a' C_21 + a² C_12
        G''  = 2 v' w' m̄ + 2 (v' w + v w') m̄' + v w m̄'',

    and where everything is at most R, |G''| ≤ (2R + 10R⁵ + 8R⁹) ‖θ'‖², for every n. *)

From Coq Require Import Reals Lra Psatz Lia.
From Coquelicot Require Import Coquelicot.
From TFixup Require Import FiniteSums Attention.
Open Scope R_scope.

(** M₂, the constant that is compared with SymPy's. *)
Definition curvature (reach : R) : R := 2 * reach + 10 * reach ^ 5 + 8 * reach ^ 9.

Section Moments.
Variables (n : nat) (l m dm : nat -> R).
Hypothesis Hn : (1 <= n)%nat.
Let mu := mean n l m.
Let nu := mean n l dm.
Definition moment (r s : nat) : R :=
  mean n l (fun j => (m j - mean n l m) ^ r * (dm j - mean n l dm) ^ s).

Lemma mean_centred : forall f, mean n l (fun j => f j - mean n l f) = 0.
Proof.
  intros f. rewrite (mean_ext n l _ (fun j => f j + (-1) * mean n l f)) by (intros; ring).
  rewrite mean_plus, (mean_const n l ((-1) * mean n l f)) by assumption. ring.
Qed.

(** The mean of a cubic in δ and ε; those of δ and ε themselves are 0. *)
Lemma mean_cubic : forall c0 c1 c2 c20 c11 c02 c30 c21 c12 h,
  (forall j, h j = c0 + c1 * (m j - mu) + c2 * (dm j - nu)
     + c20 * ((m j - mu) ^ 2 * (dm j - nu) ^ 0) + c11 * ((m j - mu) ^ 1 * (dm j - nu) ^ 1)
     + c02 * ((m j - mu) ^ 0 * (dm j - nu) ^ 2) + c30 * ((m j - mu) ^ 3 * (dm j - nu) ^ 0)
     + c21 * ((m j - mu) ^ 2 * (dm j - nu) ^ 1) + c12 * ((m j - mu) ^ 1 * (dm j - nu) ^ 2)) ->
  mean n l h = c0 + c20 * moment 2 0 + c11 * moment 1 1 + c02 * moment 0 2 + c30 * moment 3 0
     + c21 * moment 2 1 + c12 * moment 1 2.
Proof.
  intros c0 c1 c2 c20 c11 c02 c30 c21 c12 h H.
  rewrite (mean_ext n l h _ (fun j _ => H j)).
  rewrite !mean_plus, !mean_scal, mean_const by assumption.
  unfold mu, nu. rewrite !mean_centred. fold (moment 2 0) (moment 1 1) (moment 0 2).
  fold (moment 3 0) (moment 2 1) (moment 1 2). ring.
Qed.
End Moments.

Section Line.
Variables (n : nat) (v w q k y : R) (m : nat -> R).
Variables (dv dw dq dk : R) (dm : nat -> R).
Hypothesis Hn : (1 <= n)%nat.

Let vt (u : R) : R := v + u * dv.
Let wt (u : R) : R := w + u * dw.
Let qt (u : R) : R := q + u * dq.
Let kt (u : R) : R := k + u * dk.
Let mt (u : R) (j : nat) : R := m j + u * dm j.
Let lt (u : R) : nat -> R := logit (qt u) (kt u) y (mt u).
Let a (u : R) : R := qt u * kt u * y.
Let da (u : R) : R := (dq * kt u + qt u * dk) * y.
Let dda : R := 2 * dq * dk * y.
Let dl (u : R) (j : nat) : R := da u * mt u j + a u * dm j.
Let ddl (u : R) (j : nat) : R := dda * mt u j + 2 * da u * dm j.
Let E (u : R) (h : nat -> R) : R := mean n (lt u) h.
Let C (u : R) (r s : nat) : R := moment n (lt u) (mt u) dm r s.

Definition line_mean (u : R) : R := attended n (qt u) (kt u) y (mt u).
Definition line_output (u : R) : R := output n (vt u) (wt u) (qt u) (kt u) y (mt u).
Let raw_first (u : R) : R :=
  E u dm + E u (fun j => mt u j * dl u j) - E u (mt u) * E u (dl u).
Definition mean_first (u : R) : R := E u dm + da u * C u 2 0 + a u * C u 1 1.
Definition mean_second (u : R) : R :=
  4 * da u * C u 1 1 + 2 * a u * C u 0 2 + dda * C u 2 0 + da u ^ 2 * C u 3 0
  + 2 * a u * da u * C u 2 1 + a u ^ 2 * C u 1 2.
Definition line_first (u : R) : R :=
  (dv * wt u + vt u * dw) * line_mean u + vt u * wt u * mean_first u.
Definition line_second (u : R) : R :=
  2 * dv * dw * line_mean u + 2 * (dv * wt u + vt u * dw) * mean_first u
  + vt u * wt u * mean_second u.

Let affine : forall b db u : R, is_derive (fun x : R => b + x * db) u db.
Proof. intros. auto_derive; [trivial|ring]. Qed.

Let d_logit : forall u j, is_derive (fun x : R => lt x j) u (dl u j).
Proof.
  intros. unfold lt, logit, dl, da, a, qt, kt, mt. auto_derive; [trivial|ring].
Qed.

Let d_dl : forall u j, is_derive (fun x : R => dl x j) u (ddl u j).
Proof.
  intros. unfold ddl, dl, da, dda, a, qt, kt, mt. auto_derive; [trivial|ring].
Qed.

Let d_mean : forall (h : R -> nat -> R) (dh : nat -> R) (u : R),
  (forall j, is_derive (fun x : R => h x j) u (dh j)) ->
  is_derive (fun x : R => E x (h x)) u
    (E u dh + E u (fun j => h u j * dl u j) - E u (h u) * E u (dl u)).
Proof.
  intros h dh u H. apply (is_derive_mean n lt h (dl u) dh u Hn); intros; [apply d_logit|apply H].
Qed.

Let d_line_mean_raw : forall u : R, is_derive line_mean u (raw_first u).
Proof. intros u. apply (d_mean mt dm u). intros; apply affine. Qed.

Let cubic (u : R) := mean_cubic n (lt u) (mt u) dm Hn.

Let first_central : forall u, raw_first u = mean_first u.
Proof.
  intros u. unfold raw_first, mean_first. set (mu := E u (mt u)). set (nu := E u dm).
  set (L0 := da u * mu + a u * nu).
  assert (E1 : E u (fun j => mt u j * dl u j) = mu * L0 + da u * C u 2 0 + a u * C u 1 1).
  { unfold E. rewrite (cubic u (mu * L0) (L0 + mu * da u) (mu * a u) (da u) (a u) 0 0 0 0).
    - unfold C. ring.
    - intros j. unfold dl, L0. fold (E u (mt u)) (E u dm). fold mu nu. ring. }
  assert (E2 : E u (dl u) = L0).
  { unfold E. rewrite (cubic u L0 (da u) (a u) 0 0 0 0 0 0).
    - ring.
    - intros j. unfold dl, L0. fold (E u (mt u)) (E u dm). fold mu nu. ring. }
  rewrite E1, E2. ring.
Qed.

Lemma is_derive_line_mean : forall u : R, is_derive line_mean u (mean_first u).
Proof. intros u. rewrite <- first_central. apply d_line_mean_raw. Qed.

Let raw_second (u : R) : R :=
  (E u (fun _ => 0) + E u (fun j => dm j * dl u j) - E u dm * E u (dl u))
  + (E u (fun j => dm j * dl u j + mt u j * ddl u j)
     + E u (fun j => mt u j * dl u j * dl u j) - E u (fun j => mt u j * dl u j) * E u (dl u))
  - (raw_first u * E u (dl u)
     + E u (mt u) * (E u (ddl u) + E u (fun j => dl u j * dl u j) - E u (dl u) * E u (dl u))).

Let d_raw_first : forall u : R, is_derive raw_first u (raw_second u).
Proof.
  intros u. unfold raw_first, raw_second.
  assert (D1 := d_mean (fun _ => dm) (fun _ => 0) u (fun j => is_derive_const (dm j : R) u)).
  assert (D2 : is_derive (fun x : R => E x (fun j => mt x j * dl x j)) u
    (E u (fun j => dm j * dl u j + mt u j * ddl u j)
     + E u (fun j => mt u j * dl u j * dl u j) - E u (fun j => mt u j * dl u j) * E u (dl u))).
  { apply (d_mean (fun x j => mt x j * dl x j)). intros j.
    apply (is_derive_mult (fun x : R => mt x j) (fun x : R => dl x j) u (dm j) (ddl u j));
      [apply affine | apply d_dl | intros; apply Rmult_comm]. }
  assert (D3 := d_mean dl (ddl u) u (d_dl u)).
  assert (D4 := d_line_mean_raw u). cbv beta in D1.
  apply (is_derive_minus (fun x : R => E x dm + E x (fun j => mt x j * dl x j))
           (fun x : R => E x (mt x) * E x (dl x)) u).
  - apply (is_derive_plus (fun x : R => E x dm) (fun x : R => E x (fun j => mt x j * dl x j)) u);
      assumption.
  - apply (is_derive_mult (fun x : R => E x (mt x)) (fun x : R => E x (dl x)) u); try assumption.
    intros; apply Rmult_comm.
Qed.

Let second_central : forall u, raw_second u = mean_second u.
Proof.
  intros u. unfold raw_second. rewrite first_central. unfold mean_first, mean_second.
  set (mu := E u (mt u)). set (nu := E u dm).
  set (L0 := da u * mu + a u * nu). set (D0 := dda * mu + 2 * da u * nu).
  assert (E0 : E u (fun _ => 0) = 0) by now apply mean_const.
  assert (E1 : E u (fun j => mt u j * dl u j) = mu * L0 + da u * C u 2 0 + a u * C u 1 1).
  { unfold E, C. rewrite (cubic u (mu * L0) (L0 + mu * da u) (mu * a u) (da u) (a u) 0 0 0 0).
    ring. intros j; unfold ddl, dl, L0, D0; fold (E u (mt u)) (E u dm); fold mu nu; ring. }
  assert (E2 : E u (dl u) = L0).
  { unfold E. rewrite (cubic u L0 (da u) (a u) 0 0 0 0 0 0).
    ring. intros j; unfold ddl, dl, L0, D0; fold (E u (mt u)) (E u dm); fold mu nu; ring. }
  assert (E3 : E u (ddl u) = D0).
  { unfold E. rewrite (cubic u D0 dda (2 * da u) 0 0 0 0 0 0).
    ring. intros j; unfold ddl, dl, L0, D0; fold (E u (mt u)) (E u dm); fold mu nu; ring. }
  assert (E4 : E u (fun j => dl u j * dl u j)
     = L0 ^ 2 + da u ^ 2 * C u 2 0 + 2 * a u * da u * C u 1 1 + a u ^ 2 * C u 0 2).
  { unfold E, C. rewrite (cubic u (L0 ^ 2) (2 * L0 * da u) (2 * L0 * a u) (da u ^ 2)
      (2 * a u * da u) (a u ^ 2) 0 0 0).
    ring. intros j; unfold ddl, dl, L0, D0; fold (E u (mt u)) (E u dm); fold mu nu; ring. }
  assert (E5 : E u (fun j => dm j * dl u j) = nu * L0 + da u * C u 1 1 + a u * C u 0 2).
  { unfold E, C. rewrite (cubic u (nu * L0) (nu * da u) (L0 + nu * a u) 0 (da u) (a u) 0 0 0).
    ring. intros j; unfold ddl, dl, L0, D0; fold (E u (mt u)) (E u dm); fold mu nu; ring. }
  assert (E6 : E u (fun j => dm j * dl u j + mt u j * ddl u j)
     = nu * L0 + mu * D0 + dda * C u 2 0 + 3 * da u * C u 1 1 + a u * C u 0 2).
  { unfold E, C. rewrite (cubic u (nu * L0 + mu * D0) (nu * da u + D0 + mu * dda)
      (L0 + nu * a u + 2 * mu * da u) dda (3 * da u) (a u) 0 0 0).
    ring. intros j; unfold ddl, dl, L0, D0; fold (E u (mt u)) (E u dm); fold mu nu; ring. }
  assert (E7 : E u (fun j => mt u j * dl u j * dl u j)
     = mu * L0 ^ 2 + (mu * da u ^ 2 + 2 * L0 * da u) * C u 2 0
       + (2 * mu * a u * da u + 2 * L0 * a u) * C u 1 1 + mu * a u ^ 2 * C u 0 2
       + da u ^ 2 * C u 3 0 + 2 * a u * da u * C u 2 1 + a u ^ 2 * C u 1 2).
  { unfold E, C. rewrite (cubic u (mu * L0 ^ 2) (2 * mu * L0 * da u + L0 ^ 2) (2 * mu * L0 * a u)
      (mu * da u ^ 2 + 2 * L0 * da u) (2 * mu * a u * da u + 2 * L0 * a u) (mu * a u ^ 2)
      (da u ^ 2) (2 * a u * da u) (a u ^ 2)).
    ring. intros j; unfold ddl, dl, L0, D0; fold (E u (mt u)) (E u dm); fold mu nu; ring. }
  rewrite E0, E1, E2, E3, E4, E5, E6, E7. ring.
Qed.

Lemma is_derive_mean_first : forall u : R, is_derive mean_first u (mean_second u).
Proof.
  intros u. rewrite <- second_central. apply (is_derive_ext raw_first); [|apply d_raw_first].
  intros; apply first_central.
Qed.

Theorem is_derive_line_output : forall u : R, is_derive line_output u (line_first u).
Proof.
  intros u. unfold line_output, output. evar_last.
  { apply (is_derive_mult (fun x : R => vt x * wt x) line_mean u (dv * wt u + vt u * dw)
             (mean_first u)); [|apply is_derive_line_mean|intros; apply Rmult_comm].
    unfold vt, wt. auto_derive; [trivial|ring]. }
  unfold plus, mult, line_first; simpl. ring.
Qed.

Theorem is_derive_line_first : forall u : R, is_derive line_first u (line_second u).
Proof.
  intros u. unfold line_first. evar_last.
  { apply (is_derive_plus (fun x : R => (dv * wt x + vt x * dw) * line_mean x)
             (fun x : R => vt x * wt x * mean_first x) u).
    - apply (is_derive_mult (fun x : R => dv * wt x + vt x * dw) line_mean u (2 * dv * dw)
               (mean_first u)); [|apply is_derive_line_mean|intros; apply Rmult_comm].
      unfold vt, wt. auto_derive; [trivial|ring].
    - apply (is_derive_mult (fun x : R => vt x * wt x) mean_first u (dv * wt u + vt u * dw)
               (mean_second u)); [|apply is_derive_mean_first|intros; apply Rmult_comm].
      unfold vt, wt. auto_derive; [trivial|ring]. }
  unfold plus, mult, line_second; simpl. ring.
Qed.
End Line.
