(** Sums of n terms, f 0 + … + f (n − 1), and Cauchy–Schwarz.

    Coquelicot's [sum_n f n] has n + 1 terms; here a sum of no terms is 0, so that
    "for every n ≥ 1" can be said. *)

From Coq Require Import Reals Lra Psatz Lia.
From Coquelicot Require Import Coquelicot.
Open Scope R_scope.

Fixpoint total (n : nat) (f : nat -> R) : R :=
  match n with
  | O => 0
  | S p => total p f + f p
  end.

Lemma total_ext : forall n f g,
  (forall j, (j < n)%nat -> f j = g j) -> total n f = total n g.
Proof.
  induction n; intros f g H; simpl; [reflexivity|].
  rewrite (IHn f g); [rewrite (H n); [ring|lia]|]. intros j Hj; apply H; lia.
Qed.

Lemma total_plus : forall n f g, total n (fun j => f j + g j) = total n f + total n g.
Proof. induction n; intros; simpl; [ring|]. rewrite IHn; ring. Qed.

Lemma total_scal : forall n c f, total n (fun j => c * f j) = c * total n f.
Proof. induction n; intros; simpl; [ring|]. rewrite IHn; ring. Qed.

Lemma total_minus : forall n f g, total n (fun j => f j - g j) = total n f - total n g.
Proof. induction n; intros; simpl; [ring|]. rewrite IHn; ring. Qed.

Lemma total_const : forall n c, total n (fun _ => c) = INR n * c.
Proof.
  induction n; intros; [simpl; ring|].
  rewrite S_INR; simpl total; rewrite IHn; ring.
Qed.

Lemma total_le : forall n f g,
  (forall j, (j < n)%nat -> f j <= g j) -> total n f <= total n g.
Proof.
  induction n; intros f g H; simpl; [lra|].
  apply Rplus_le_compat; [apply IHn; intros; apply H; lia | apply H; lia].
Qed.

Lemma total_nonneg : forall n f, (forall j, (j < n)%nat -> 0 <= f j) -> 0 <= total n f.
Proof.
  intros n f H. replace 0 with (total n (fun _ => 0)) by (rewrite total_const; ring).
  now apply total_le.
Qed.

Lemma total_pos : forall n f,
  (1 <= n)%nat -> (forall j, (j < n)%nat -> 0 < f j) -> 0 < total n f.
Proof.
  intros n f Hn H. destruct n; [lia|]. simpl.
  assert (0 <= total n f) by (apply total_nonneg; intros; apply Rlt_le, H; lia).
  assert (0 < f n) by (apply H; lia). lra.
Qed.

Lemma total_term : forall n f i,
  (forall j, (j < n)%nat -> 0 <= f j) -> (i < n)%nat -> f i <= total n f.
Proof.
  induction n; intros f i H Hi; [lia|]. simpl.
  assert (Hn : 0 <= f n) by (apply H; lia).
  assert (Hs : 0 <= total n f) by (apply total_nonneg; intros; apply H; lia).
  destruct (Nat.eq_dec i n) as [->|]; [lra|].
  assert (f i <= total n f) by (apply IHn; [intros; apply H; lia | lia]). lra.
Qed.

Lemma total_abs : forall n f, Rabs (total n f) <= total n (fun j => Rabs (f j)).
Proof.
  induction n; intros; simpl; [rewrite Rabs_R0; lra|].
  eapply Rle_trans; [apply Rabs_triang|]. specialize (IHn f). lra.
Qed.

(** A sum in which one index alone contributes. *)
Lemma total_single : forall n i x, (i < n)%nat ->
  total n (fun j => if Nat.eqb j i then x j else 0) = x i.
Proof.
  induction n; intros i x Hi; [lia|]. simpl.
  destruct (Nat.eq_dec i n) as [->|].
  - rewrite Nat.eqb_refl, (total_ext n _ (fun _ => 0)).
    + rewrite total_const; ring.
    + intros j Hj. destruct (Nat.eqb_spec j n); [lia|reflexivity].
  - destruct (Nat.eqb_spec n i); [lia|]. rewrite IHn; [ring|lia].
Qed.

Theorem cauchy_schwarz : forall n f g,
  (total n (fun j => f j * g j)) ^ 2
  <= total n (fun j => f j ^ 2) * total n (fun j => g j ^ 2).
Proof.
  induction n; intros f g; [simpl; lra|]. cbn [total].
  specialize (IHn f g).
  assert (HA : 0 <= total n (fun j => f j ^ 2)) by (apply total_nonneg; intros; nra).
  assert (HB : 0 <= total n (fun j => g j ^ 2)) by (apply total_nonneg; intros; nra).
  set (s := total n (fun j => f j * g j)) in *.
  set (a := total n (fun j => f j ^ 2)) in *.
  set (b := total n (fun j => g j ^ 2)) in *.
  clearbody s a b. generalize (f n) (g n); intros x y.
  assert (H : 0 <= a * y ^ 2 + b * x ^ 2 - 2 * s * x * y).
  { destruct (Req_dec a 0) as [->|Ha].
    - assert (s = 0) by nra. subst s. nra.
    - assert (0 < a) by lra.
      apply Rmult_le_reg_l with a; [assumption|].
      replace (a * (a * y ^ 2 + b * x ^ 2 - 2 * s * x * y))
        with ((a * y - s * x) ^ 2 + (a * b - s ^ 2) * x ^ 2) by ring.
      assert (0 <= (a * y - s * x) ^ 2) by apply pow2_ge_0.
      assert (0 <= (a * b - s ^ 2) * x ^ 2) by (apply Rmult_le_pos; [lra|apply pow2_ge_0]).
      lra. }
  nra.
Qed.

(** Numbers that sum to 1 have a sum of squares of at least 1/n. *)
Theorem sum_one_squares : forall n z, (1 <= n)%nat ->
  total n z = 1 -> / INR n <= total n (fun j => z j ^ 2).
Proof.
  intros n z Hn Hz. pose proof (cauchy_schwarz n (fun _ => 1) z) as H. cbv beta in H.
  rewrite (total_ext n (fun j => 1 * z j) z), Hz in H by (intros; ring).
  rewrite total_const in H.
  assert (0 < INR n) by (apply lt_0_INR; lia).
  apply Rmult_le_reg_l with (INR n); [assumption|].
  rewrite Rinv_r by lra. lra.
Qed.

Lemma is_derive_total : forall n (f : R -> nat -> R) (df : nat -> R) (t : R),
  (forall j, (j < n)%nat -> is_derive (fun u : R => f u j) t (df j)) ->
  is_derive (fun u : R => total n (f u)) t (total n df).
Proof.
  induction n; intros f df t H; simpl.
  - apply (is_derive_const (0 : R) t).
  - apply (is_derive_plus (fun u : R => total n (f u)) (fun u : R => f u n) t).
    + apply IHn. intros; apply H; lia.
    + apply H; lia.
Qed.
